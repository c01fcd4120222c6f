/** PCI functions of this machine, and how one gets the driver vfio-pci. */
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { checkText } from '../../base/check.ts';
import { ArgumentError, IoctlError, UnsupportedError } from '../../base/errors.ts';
import { boolean, optional, shape } from '../../base/shape.ts';
import { switchOn } from '../../host/module-parameter.ts';
import type { VfioDevice } from './device.ts';
import { VfioContainer, VfioGroup } from './group.ts';

const DEVICES = '/sys/bus/pci/devices';
const DRIVER = '/sys/bus/pci/drivers/vfio-pci';
const NOIOMMU = '/sys/module/vfio/parameters/enable_unsafe_noiommu_mode';

/** A PCI function of this machine. */
export interface PciFunction {
  /** Such as `0000:00:02.0`. */
  address: string;
  /** The vendor's number of PCI, 0 to 0xffff: 0x8086 is Intel. */
  vendor: number;
  /** The vendor's number of the device, 0 to 0xffff. */
  device: number;
  /** The driver that has it. */
  driver: string | null;
}

/** The PCI functions of this machine, by address; none where there is no PCI. Source: Documentation/PCI/sysfs-pci.rst. */
export function pciFunctions(): PciFunction[] {
  if (!existsSync(DEVICES)) return [];
  return readdirSync(DEVICES)
    .sort()
    .map((address) => ({
      address,
      vendor: Number(readFileSync(`${DEVICES}/${address}/vendor`, 'ascii')),
      device: Number(readFileSync(`${DEVICES}/${address}/device`, 'ascii')),
      driver: driverOf(address),
    }));
}

/** Whether this kernel has the driver vfio-pci. */
export function hasVfioPci(): boolean {
  return existsSync(DRIVER);
}

const bindOptions = shape<{ noIommu?: boolean }>('bindVfioPci() takes', { noIommu: optional(boolean) });

/** A function that vfio-pci has been given. */
export interface VfioBinding extends Disposable {
  /** Of the PCI function, such as `0000:00:02.0`. */
  readonly address: string;
  /** The name of its group, for `VfioGroup.open()`. */
  readonly group: string;
  /** No IOMMU keeps what it does apart from the rest of the machine. */
  readonly noIommu: boolean;
  /** Opens it: a container, the group in it, and the function. */
  open(): VfioFiles;
}

/** An open function, with what it needs. Disposed of together. */
export interface VfioFiles extends Disposable {
  /** What the group is attached to. */
  readonly container: VfioContainer;
  /** The group that the function is in. */
  readonly group: VfioGroup;
  /** The function itself. */
  readonly device: VfioDevice;
}

/**
 * Gives a PCI function that no driver has to vfio-pci; the disposable takes it back. Needs root.
 *
 * @param address of `pciFunctions()`
 * @param options `noIommu`: use it without an IOMMU, too. The function could then write all of this machine's memory, and
 *   the kernel is tainted. For machines of the lab
 * @throws ArgumentError for no function, one that a driver has, or one without an IOMMU that was to have one;
 *   UnsupportedError without vfio-pci
 */
export function bindVfioPci(address: string, options: { noIommu?: boolean } = {}): VfioBinding {
  const { noIommu = false } = bindOptions.take(options);
  if (!pciFunctions().some((found) => found.address === checkText('address', address)))
    throw new ArgumentError(
      'address',
      `There is no PCI function ${address}`,
      'pciFunctions() has those of this machine.',
    );
  if (!hasVfioPci()) throw new UnsupportedError('the driver vfio-pci', 'VFIO', 'CONFIG_VFIO_PCI');
  const driver = driverOf(address);
  if (driver !== null)
    throw new ArgumentError('address', `${driver} drives ${address}`, 'Choose a function that no driver has.');
  const alone = !existsSync(`${DEVICES}/${address}/iommu_group`);
  if (alone && !noIommu)
    throw new ArgumentError('noIommu', `${address} has no IOMMU`, 'Boot with one, or in the lab give `noIommu: true`.');

  const unsafe = alone
    ? switchOn([{ path: NOIOMMU, name: 'CONFIG_VFIO_NOIOMMU', what: 'VFIO without an IOMMU' }])
    : null;
  const release = () => {
    try {
      if (driverOf(address) === 'vfio-pci') write(`${DRIVER}/unbind`, address);
      write(`${DEVICES}/${address}/driver_override`, '\n');
    } finally {
      unsafe?.[Symbol.dispose]();
    }
  };
  try {
    write(`${DEVICES}/${address}/driver_override`, 'vfio-pci');
    write('/sys/bus/pci/drivers_probe', address);
  } catch (error) {
    try {
      release();
    } catch {
      // What went wrong first is what the caller has to know.
    }
    throw error;
  }
  if (driverOf(address) !== 'vfio-pci') {
    release();
    throw new UnsupportedError('the driver vfio-pci', `VFIO with ${address}`, 'CONFIG_VFIO_PCI');
  }
  const number = basename(readlinkSync(`${DEVICES}/${address}/iommu_group`));
  return new Binding(address, alone ? `noiommu-${number}` : number, alone, release);
}

class Binding implements VfioBinding {
  readonly address: string;
  readonly group: string;
  readonly noIommu: boolean;
  #release: (() => void) | null;

  constructor(address: string, group: string, noIommu: boolean, release: () => void) {
    this.address = address;
    this.group = group;
    this.noIommu = noIommu;
    this.#release = release;
  }

  open(): VfioFiles {
    const container = VfioContainer.open();
    let group: VfioGroup | undefined;
    try {
      group = VfioGroup.open(this.group);
      group.setContainer(container);
      container.setIommu(this.noIommu ? 'VFIO_NOIOMMU_IOMMU' : 'VFIO_TYPE1v2_IOMMU');
      return new Files(container, group, group.openDevice(this.address));
    } catch (error) {
      group?.close();
      container.close();
      throw error;
    }
  }

  /** Throws IoctlError (open: EBUSY) while a file of the group is open: the kernel would wait for its end. */
  [Symbol.dispose](): void {
    const release = this.#release;
    if (!release) return;
    try {
      VfioGroup.open(this.group).close();
    } catch (error) {
      if (!(error instanceof IoctlError) || error.errnoName !== 'EBUSY') throw error;
      const advice = "Close its device and group, and KVM's VFIO device that has them, before the binding.";
      throw new IoctlError('open', error.errno, { what: `${this.address} is in use`, advice });
    }
    this.#release = null;
    release();
  }
}

class Files implements VfioFiles {
  readonly container: VfioContainer;
  readonly group: VfioGroup;
  readonly device: VfioDevice;

  constructor(container: VfioContainer, group: VfioGroup, device: VfioDevice) {
    this.container = container;
    this.group = group;
    this.device = device;
  }

  [Symbol.dispose](): void {
    this.device.close();
    this.group.close();
    this.container.close();
  }
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw new UnsupportedError(`write access to ${path}`, 'VFIO', null, { advice: 'Be root.', cause });
  }
}

function driverOf(address: string): string | null {
  const link = `${DEVICES}/${address}/driver`;
  return existsSync(link) ? basename(readlinkSync(link)) : null;
}
