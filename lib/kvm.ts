import { capabilities } from './abi/capability.ts';
import { ioctls } from './abi/ioctl.ts';
import { ApiVersionError, DeviceMissingError, DevicePermissionError, IoctlError, NotKvmError } from './errors.ts';
import { KvmHandle } from './handle.ts';
import { type NativeSystem, openSystem, translated } from './native.ts';
import { Vm } from './vm.ts';

/** The KVM API version that every kernel since 2.6.22 answers. */
const KVM_API_VERSION = 12;

/** Where KVM's device is on nearly every machine. */
export const KVM_DEVICE = '/dev/kvm';

/** The open KVM device: what the kernel's KVM can do, and where virtual machines come from. */
export class Kvm extends KvmHandle<NativeSystem> {
  readonly device: string;

  private constructor(native: NativeSystem, device: string) {
    super(native, `the KVM device ${device}`);
    this.device = device;
  }

  /**
   * Opens the device and checks that it is KVM.
   *
   * @throws DeviceMissingError, DevicePermissionError, NotKvmError, ApiVersionError; IoctlError (open) for other errnos
   */
  static open(device: string = KVM_DEVICE): Kvm {
    let native: NativeSystem;
    try {
      native = openSystem(device);
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      if (['ENOENT', 'ENODEV', 'ENXIO', 'ENOTDIR'].includes(error.errnoName))
        throw new DeviceMissingError(device, error);
      if (['EACCES', 'EPERM'].includes(error.errnoName)) throw new DevicePermissionError(device, error);
      if (error.errnoName === 'EISDIR') throw new NotKvmError(device, error);
      throw error;
    }
    const kvm = new Kvm(native, device);
    try {
      const version = kvm.#apiVersion();
      if (version !== KVM_API_VERSION) throw new ApiVersionError(version);
    } catch (error) {
      kvm.close();
      throw error;
    }
    return kvm;
  }

  #apiVersion(): number {
    try {
      return this.ioctl(ioctls.KVM_GET_API_VERSION);
    } catch (error) {
      if (error instanceof IoctlError) throw new NotKvmError(this.device, error);
      throw error;
    }
  }

  /** KVM_GET_API_VERSION: 12. */
  get apiVersion(): number {
    return this.#apiVersion();
  }

  /** KVM_CHECK_EXTENSION: 0 if the kernel lacks the capability, else 1 or a value that the capability defines. */
  checkExtension(cap: keyof typeof capabilities | number): number {
    return this.ioctl(ioctls.KVM_CHECK_EXTENSION, typeof cap === 'number' ? cap : capabilities[cap]);
  }

  /**
   * KVM_CREATE_VM. A new VM has no memory, no vCPU and no irqchip.
   *
   * @param type a KVM_X86_*_VM value; 0 is an ordinary VM
   * @throws IoctlError (KVM_CREATE_VM: ENOMEM, EMFILE, EINVAL for an unknown type)
   */
  createVm(type = 0): Vm {
    const native = this.native;
    return new Vm(translated(() => native.createVm(type)));
  }
}
