import { KVM_CREATE_DEVICE_TEST, KVM_DEV_TYPE_VFIO } from '../../abi/kvm/index.ts';
import { checkInteger } from '../../base/check.ts';
import { Device } from '../device.ts';
import { systemCallError } from '../limit.ts';
import { type NativeDevice, translated } from '../native.ts';
import { VfioPseudoDevice } from '../vfio/kvm-device.ts';
import type { VmCalls } from './host.ts';

/** The devices that the kernel makes for a VM. */
export class Devices {
  readonly #calls: VmCalls;

  constructor(calls: VmCalls) {
    this.#calls = calls;
  }

  create(type: number | 'vfio'): Device {
    const number = type === 'vfio' ? KVM_DEV_TYPE_VFIO : type;
    const made = this.#create(number, 0);
    if (made === null || typeof made === 'number')
      throw systemCallError('KVM_CREATE_DEVICE', made === null ? 0 : -made);
    return number === KVM_DEV_TYPE_VFIO ? new VfioPseudoDevice(made) : Device.of(made, number);
  }

  has(type: number): boolean {
    return this.#create(type, KVM_CREATE_DEVICE_TEST) === null;
  }

  #create(type: number, flags: number): NativeDevice | number | null {
    checkInteger('type', type, 0, 0xffff_ffff);
    const { native } = this.#calls;
    return translated(() => native.createDevice(type, flags));
  }
}
