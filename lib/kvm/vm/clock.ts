import { type KvmClockData, kvmClockData } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkObject } from '../../base/check.ts';
import type { VmCalls } from './host.ts';

/** A VM's kvmclock. */
export class Clock {
  readonly #calls: VmCalls;

  constructor(calls: VmCalls) {
    this.#calls = calls;
  }

  get(): KvmClockData {
    return kvmClockData.decode(this.#calls.read(ioctls.KVM_GET_CLOCK, kvmClockData.size));
  }

  set(clock: Partial<KvmClockData>): void {
    this.#calls.ioctl(ioctls.KVM_SET_CLOCK, kvmClockData.encode(checkObject('clock', clock)));
  }
}
