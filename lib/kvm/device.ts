/** KVM_SET, GET and HAS_DEVICE_ATTR: of a device (KVM_CREATE_DEVICE), and of what else takes them. */
import { ioctlName, ioctls } from '../abi/kvm/ioctl.ts';
import { checkBytes, checkInstance, checkInteger } from '../base/check.ts';
import { ClosedError, IoctlError } from '../base/errors.ts';
import { integer, shape, u64 } from '../base/shape.ts';
import { EventFd } from './eventfd.ts';
import { deviceAttrOf, type NativeDevice, type NativeHandle, translated } from './native.ts';
import { VfioFile } from './vfio/file.ts';

/** The longest payload of an attribute that is handed on, in bytes: more than any of the kernel's has. */
export const MAX_ATTR_SIZE = 0x1_0000;

/** Which attribute: struct kvm_device_attr. What groups and attributes mean, the device's own documentation says. */
export interface DeviceAttr {
  /** 0 to 2^32-1. */
  group: number;
  /** Which of the group, 0 to 2^64-1. */
  attr: number | bigint;
}

const deviceAttr = shape<DeviceAttr>('an attribute of a device has', { group: integer(0, 0xffff_ffff), attr: u64 });

const ENXIO = 'ENXIO';

/**
 * A device of a VM: `vm.createDevice()`. Source: Documentation/virt/kvm/devices/.
 *
 * The payload of an attribute is as long as the device says; of one that is too short the rest is zero, and of one that
 * is too long the rest is ignored: no length makes the kernel read or write beyond it.
 */
export class Device implements Disposable {
  /** KVM_DEV_TYPE_*. */
  readonly type: number;
  #native: NativeDevice | null;

  protected constructor(native: NativeDevice, type: number) {
    this.#native = native;
    this.type = type;
  }

  /** @internal A device comes from `vm.createDevice()`. */
  static of(native: NativeDevice, type: number): Device {
    return new Device(native, type);
  }

  /** True after `close()`: every other call then throws a ClosedError. */
  get closed(): boolean {
    return this.#native === null;
  }

  #call(request: number, which: DeviceAttr, payload: Uint8Array | null, file: EventFd | VfioFile | null): number {
    const native = this.#native;
    if (!native) throw new ClosedError('the device');
    const { group, attr } = checkAttr(which);
    return translated(() => native.attr(request, group, attr, payload, file?.native ?? null));
  }

  /** KVM_HAS_DEVICE_ATTR: whether the device has it. Throws IoctlError for an errno other than ENXIO; ClosedError. */
  hasAttr(which: DeviceAttr): boolean {
    return answered(ioctls.KVM_HAS_DEVICE_ATTR, this.#call(ioctls.KVM_HAS_DEVICE_ATTR, which, null, null));
  }

  /**
   * KVM_GET_DEVICE_ATTR.
   *
   * @param size bytes of the attribute's payload, 0 to 65536
   * @throws IoctlError (ENXIO without such an attribute, EPERM, ENODEV); ClosedError
   */
  getAttr(which: DeviceAttr, size: number): Uint8Array {
    const payload = new Uint8Array(checkInteger('size', size, 0, MAX_ATTR_SIZE));
    refuse(ioctls.KVM_GET_DEVICE_ATTR, this.#call(ioctls.KVM_GET_DEVICE_ATTR, which, payload, null));
    return payload;
  }

  /**
   * KVM_SET_DEVICE_ATTR.
   *
   * @param payload 0 to 65536 bytes
   * @param file an object whose file descriptor takes the payload's first 4 bytes. The payloads of the VFIO device
   *   begin with one, so that it is required there: no number is taken for one
   * @throws IoctlError (ENXIO without such an attribute, EPERM, EBUSY, EINVAL, EBADF); ArgumentError; ClosedError
   */
  setAttr(which: DeviceAttr, payload: Uint8Array, file: EventFd | VfioFile | null = null): void {
    if (file !== null) checkInstance('file', file, file instanceof VfioFile ? VfioFile : EventFd);
    checkBytes('payload', payload, file ? 4 : 0, MAX_ATTR_SIZE);
    refuse(ioctls.KVM_SET_DEVICE_ATTR, this.#call(ioctls.KVM_SET_DEVICE_ATTR, which, payload, file));
  }

  /** Closes the file descriptor. The VFIO device ends with it; KVM keeps one of another type until its VM goes. */
  close(): void {
    this.#native?.close();
    this.#native = null;
  }

  /** Closes it: `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function checkAttr(which: DeviceAttr): { group: number; attr: bigint } {
  const { group, attr } = deviceAttr.take(which, 'which');
  return { group, attr: BigInt(attr) };
}

function refuse(request: number, result: number): void {
  if (result < 0) throw new IoctlError(ioctlName(request), -result);
}

function answered(request: number, result: number): boolean {
  if (result >= 0) return true;
  const error = new IoctlError(ioctlName(request), -result);
  // A vCPU answers ENXIO for a group that it lacks, the system device likewise.
  if (error.errnoName === ENXIO) return false;
  throw error;
}

/** KVM_HAS_DEVICE_ATTR of an open KVM device, VM or vCPU. */
export function handleHasAttr(native: NativeHandle, which: DeviceAttr): boolean {
  const { group, attr } = checkAttr(which);
  return answered(ioctls.KVM_HAS_DEVICE_ATTR, deviceAttrOf(native, ioctls.KVM_HAS_DEVICE_ATTR, group, attr, null));
}

/** KVM_GET_DEVICE_ATTR of an open KVM device, VM or vCPU. */
export function handleGetAttr(native: NativeHandle, which: DeviceAttr, size: number): Uint8Array {
  const { group, attr } = checkAttr(which);
  const payload = new Uint8Array(checkInteger('size', size, 0, MAX_ATTR_SIZE));
  refuse(ioctls.KVM_GET_DEVICE_ATTR, deviceAttrOf(native, ioctls.KVM_GET_DEVICE_ATTR, group, attr, payload));
  return payload;
}

/** KVM_SET_DEVICE_ATTR of an open VM or vCPU. */
export function handleSetAttr(native: NativeHandle, which: DeviceAttr, payload: Uint8Array): void {
  const { group, attr } = checkAttr(which);
  checkBytes('payload', payload, 0, MAX_ATTR_SIZE);
  refuse(ioctls.KVM_SET_DEVICE_ATTR, deviceAttrOf(native, ioctls.KVM_SET_DEVICE_ATTR, group, attr, payload));
}
