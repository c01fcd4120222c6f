/** KVM's VFIO device, and the forwarding of IRQs. */
import { KVM_DEV_TYPE_VFIO } from '../../abi/kvm/index.ts';
import { ioctlName, ioctls } from '../../abi/kvm/ioctl.ts';
import {
  KVM_DEV_VFIO_DEVICE,
  KVM_DEV_VFIO_DEVICE_FORWARD_IRQ,
  KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ,
  KVM_DEV_VFIO_FILE,
  KVM_DEV_VFIO_FILE_ADD,
  KVM_DEV_VFIO_FILE_DEL,
  kvmArchForwardedIrq,
} from '../../abi/vfio.ts';
import { checkInstance } from '../../base/check.ts';
import { IoctlError, UnsupportedError } from '../../base/errors.ts';
import { integer, optional, shape } from '../../base/shape.ts';
import { isParameterOn, switchOn } from '../../host/module-parameter.ts';
import { Device } from '../device.ts';
import type { NativeDevice } from '../native.ts';
import { VfioDevice } from './device.ts';
import { IrqSignaledError } from './errors.ts';
import type { VfioFile } from './file.ts';
import { VfioGroup } from './group.ts';

const u32 = integer(0, 0xffff_ffff);
const PARAMETERS = '/sys/module/kvm/parameters';
/** The parameter of a kernel with CONFIG_KVM_DSM_VFIO. Source: kernel/rfc-v2/arch/x86/kvm/dsm_vfio.c. */
export const irqForwardingParameter = 'dsm_vfio';

/** An IRQ of a VFIO device, and the VM's interrupt that it is forwarded to. */
export interface ForwardedIrq {
  /** VFIO's index of the IRQ: of a PCI function 0 INTx, 1 MSI, 2 MSI-X. */
  index: number;
  /** Which of that index. Default 0. */
  subindex?: number;
  /** The VM's interrupt. The lab's kernel takes 0 to 4095. */
  gsi: number;
}

const forwardedIrq = shape<ForwardedIrq>('a forwarded IRQ takes', { index: u32, subindex: optional(u32), gsi: u32 });

/** Whether VFIO devices that are created now forward IRQs; `null` for a kernel without the extension. */
export function irqForwarding(directory = PARAMETERS): boolean | null {
  try {
    return isParameterOn(`${directory}/${irqForwardingParameter}`);
  } catch {
    return null;
  }
}

/**
 * Lets KVM's VFIO devices forward IRQs that are created from now on, all over this machine; the disposable puts the
 * parameter back. A device that is there keeps what it has.
 *
 * @throws UnsupportedError on a kernel without the extension, or if the parameter may not be written
 */
export function enableIrqForwarding(directory = PARAMETERS): Disposable {
  const path = `${directory}/${irqForwardingParameter}`;
  return switchOn([{ path, name: `kvm.${irqForwardingParameter}`, what: 'IRQ forwarding' }]);
}

/**
 * KVM's VFIO device: `vm.createDevice('vfio')`. Tells KVM of the files through which VFIO devices are used in its VM.
 * Sources: Documentation/virt/kvm/devices/vfio.rst; for IRQ forwarding "[PATCH v3 4/8] KVM: kvm-vfio: User API for IRQ
 * forwarding" (2014), docs/vfio.md.
 */
export class VfioPseudoDevice extends Device {
  /** @internal It comes from `vm.createDevice('vfio')`. */
  constructor(native: NativeDevice) {
    super(native, KVM_DEV_TYPE_VFIO);
  }

  /**
   * KVM_DEV_VFIO_FILE_ADD. KVM holds the file until it is removed, or this device is closed.
   *
   * @throws ArgumentError; ClosedError; IoctlError (EEXIST if it is added already)
   */
  addFile(file: VfioGroup | VfioDevice): void {
    const advice = 'A file is added once. Remove it first, or leave it as it is.';
    this.#setFile(KVM_DEV_VFIO_FILE_ADD, file, { EEXIST: { what: 'the file is added already', advice } });
  }

  /** KVM_DEV_VFIO_FILE_DEL. Throws ArgumentError; ClosedError; IoctlError (ENOENT if it is not added). */
  removeFile(file: VfioGroup | VfioDevice): void {
    const advice = 'Remove what addFile() added: a group and its device are two files.';
    this.#setFile(KVM_DEV_VFIO_FILE_DEL, file, { ENOENT: { what: 'the file was not added', advice } });
  }

  /** Whether the kernel answers to KVM_DEV_VFIO_DEVICE here. No mainline kernel does. */
  get forwardsIrqs(): boolean {
    const attrs = [KVM_DEV_VFIO_DEVICE_FORWARD_IRQ, KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ];
    return attrs.every((attr) => this.hasAttr({ group: KVM_DEV_VFIO_DEVICE, attr }));
  }

  /**
   * KVM_DEV_VFIO_DEVICE_FORWARD_IRQ: from now on the guest's EOI of the GSI completes the physical IRQ. To be called
   * before the IRQ is signalled by `device.signalIrqs()`.
   *
   * @throws UnsupportedError where the kernel lacks it (its `cause` is the ENXIO); IrqSignaledError; IoctlError (EINVAL
   *   for an IRQ that the device lacks or a GSI out of range, EEXIST if it is forwarded); ArgumentError; ClosedError
   */
  forwardIrq(device: VfioDevice, irq: ForwardedIrq): void {
    const advice = 'Unforward it first, with the GSI that it has.';
    this.#setForwarding(KVM_DEV_VFIO_DEVICE_FORWARD_IRQ, device, irq, {
      EEXIST: { what: 'the IRQ is forwarded already', advice },
    });
  }

  /**
   * KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ: undoes it, while the IRQ is not signalled.
   *
   * @throws as `forwardIrq` does; IoctlError (ENOENT if it is not forwarded, or to another GSI)
   */
  unforwardIrq(device: VfioDevice, irq: ForwardedIrq): void {
    const advice = 'Give what forwardIrq() of this device had.';
    this.#setForwarding(KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ, device, irq, {
      ENOENT: { what: 'the IRQ is not forwarded to that GSI', advice },
    });
  }

  #setFile(attr: number, file: VfioGroup | VfioDevice, words: Words): void {
    checkInstance('file', file, file instanceof VfioDevice ? VfioDevice : VfioGroup);
    this.#set(KVM_DEV_VFIO_FILE, attr, new Uint8Array(4), file, words);
  }

  #setForwarding(attr: number, device: VfioDevice, irq: ForwardedIrq, words: Words): void {
    checkInstance('device', device, VfioDevice);
    const { index, subindex = 0, gsi } = forwardedIrq.take(irq, 'irq');
    const payload = kvmArchForwardedIrq.encode({
      index,
      subindex,
      gsi,
    });
    try {
      this.#set(KVM_DEV_VFIO_DEVICE, attr, payload, device, words);
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      if (error.errnoName === 'EBUSY')
        throw new IrqSignaledError(error.ioctl, error.errno, `IRQ ${index}.${subindex} of ${device.address}`);
      if (error.errnoName === 'ENXIO') throw notSupported(error);
      throw error;
    }
  }

  #set(group: number, attr: number, payload: Uint8Array, file: VfioFile, words: Words): void {
    try {
      this.setAttr({ group, attr }, payload, file);
    } catch (error) {
      const said = error instanceof IoctlError ? words[error.errnoName] : undefined;
      if (!said) throw error;
      const { errno } = error as IoctlError;
      throw new IoctlError(ioctlName(ioctls.KVM_SET_DEVICE_ATTR), errno, said);
    }
  }
}

/** What an errno means here. */
type Words = Readonly<Record<string, { what: string; advice: string }>>;

function notSupported(cause: IoctlError): UnsupportedError {
  return new UnsupportedError('KVM_DEV_VFIO_DEVICE', 'IRQ forwarding', 'CONFIG_KVM_DSM_VFIO', {
    advice:
      "No mainline kernel has it. The lab's does for a device that is created while enableIrqForwarding() holds: docs/vfio.md.",
    cause,
  });
}
