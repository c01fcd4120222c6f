/** VFIO's containers, and the groups that are attached to one. */
import { VFIO_GROUP_FLAGS_VIABLE, type VfioIommu, vfioIommus } from '../../abi/vfio.ts';
import { checkChoice, checkInstance, checkText } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { type NativeVfioFile, openVfioFile } from '../native.ts';
import { VfioDevice } from './device.ts';
import { VfioFile } from './file.ts';

const iommuNames = Object.keys(vfioIommus) as VfioIommu[];

/** /dev/vfio/vfio: what groups are attached to, so that their devices can be opened. */
export class VfioContainer extends VfioFile {
  /** Throws IoctlError (open: ENOENT without VFIO, EACCES). */
  static open(): VfioContainer {
    return new VfioContainer(openVfioFile('vfio'), 'the VFIO container');
  }

  /** VFIO_CHECK_EXTENSION. VFIO_NOIOMMU_IOMMU is there once such a group is attached. */
  supports(iommu: VfioIommu): boolean {
    checkChoice('iommu', iommu, iommuNames);
    return this.ask('VFIO_CHECK_EXTENSION', (native) => native.checkExtension(vfioIommus[iommu])) !== 0;
  }

  /** VFIO_SET_IOMMU, after the first group. Throws IoctlError (EINVAL without a group, ENODEV, EPERM, EBUSY). */
  setIommu(iommu: VfioIommu): void {
    checkChoice('iommu', iommu, iommuNames);
    this.ask('VFIO_SET_IOMMU', (native) => native.setIommu(vfioIommus[iommu]));
  }
}

/** A group: the functions that an IOMMU cannot tell apart. */
export class VfioGroup extends VfioFile {
  /** Its file's name in /dev/vfio. */
  readonly name: string;

  private constructor(native: NativeVfioFile, name: string) {
    super(native, `the VFIO group ${name}`);
    this.name = name;
  }

  /**
   * @param name `7`, or `noiommu-0` for a function without IOMMU; `bindVfioPci()` tells it
   * @throws ArgumentError; IoctlError (open: ENOENT, EBUSY if it is open already, EPERM without CAP_SYS_RAWIO for one
   *   without IOMMU)
   */
  static open(name: string): VfioGroup {
    if (!/^(noiommu-)?[0-9]{1,9}$/.test(checkText('name', name)))
      throw new ArgumentError('name', `There is no VFIO group ${name}`, 'Give a number, or `noiommu-` and a number.');
    return new VfioGroup(openVfioFile(name), name);
  }

  /** VFIO_GROUP_GET_STATUS: whether all its functions belong to VFIO, or to no driver. */
  get viable(): boolean {
    return (this.ask('VFIO_GROUP_GET_STATUS', (native) => native.groupStatus()) & VFIO_GROUP_FLAGS_VIABLE) !== 0;
  }

  /** VFIO_GROUP_SET_CONTAINER. Throws IoctlError (EINVAL if it has one, EPERM). */
  setContainer(container: VfioContainer): void {
    checkInstance('container', container, VfioContainer);
    this.ask('VFIO_GROUP_SET_CONTAINER', (native) => native.setContainer(container.native));
  }

  /**
   * VFIO_GROUP_GET_DEVICE_FD: resets the function and opens it.
   *
   * @param address such as `0000:00:02.0`
   * @throws ArgumentError; IoctlError (ENODEV for none of the group's, EINVAL without a container that has an IOMMU)
   */
  openDevice(address: string): VfioDevice {
    checkText('address', address);
    return new VfioDevice(
      this.take('VFIO_GROUP_GET_DEVICE_FD', (native) => native.device(address)),
      address,
    );
  }
}
