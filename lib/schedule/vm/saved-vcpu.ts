/** A vCPU's state as it was when schedules began, and back to it in a few ioctls: the kernel's own structs, byte by byte. */
import { kvmLapicState, kvmMpState, kvmRegs, kvmSregs, kvmVcpuEvents } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';

export class SavedVcpu {
  readonly #vcpu: Vcpu;
  /** KVM_GET_REGS. */
  readonly regs: Uint8Array;
  readonly #sregs: Uint8Array;
  readonly #events: Uint8Array;
  readonly #lapic: Uint8Array;
  readonly #mpState: Uint8Array;
  readonly #now = new Uint8Array(kvmSregs.size);

  /** Takes it as it is now. */
  constructor(vcpu: Vcpu) {
    this.#vcpu = vcpu;
    settle(vcpu);
    const get = (request: number, size: number) => {
      const bytes = new Uint8Array(size);
      vcpu.ioctlRaw(request, bytes);
      return bytes;
    };
    // First: KVM acts on an INIT or SIPI that is pending.
    this.#mpState = get(ioctls.KVM_GET_MP_STATE, kvmMpState.size);
    this.regs = get(ioctls.KVM_GET_REGS, kvmRegs.size);
    this.#sregs = get(ioctls.KVM_GET_SREGS, kvmSregs.size);
    this.#events = get(ioctls.KVM_GET_VCPU_EVENTS, kvmVcpuEvents.size);
    this.#lapic = get(ioctls.KVM_GET_LAPIC, kvmLapicState.size);
  }

  /** Puts the vCPU back to it: one that is settled. */
  restore(): void {
    const vcpu = this.#vcpu;
    // An INIT or SIPI that is pending is acted on now, and not behind this.
    vcpu.getMpState();
    // Setting them takes ten times as long as to see that they are the same. The APIC's mode is in them: before its page.
    vcpu.ioctlRaw(ioctls.KVM_GET_SREGS, this.#now);
    if (Buffer.compare(this.#now, this.#sregs) !== 0) vcpu.ioctlRaw(ioctls.KVM_SET_SREGS, this.#sregs);
    vcpu.ioctlRaw(ioctls.KVM_SET_LAPIC, this.#lapic);
    // It takes back a pending exception: before the events.
    vcpu.ioctlRaw(ioctls.KVM_SET_REGS, this.regs);
    vcpu.ioctlRaw(ioctls.KVM_SET_VCPU_EVENTS, this.#events);
    vcpu.ioctlRaw(ioctls.KVM_SET_MP_STATE, this.#mpState);
  }
}

/** KVM does what is left of the last exit. What comes of it is of a schedule that is over. */
export function settle(vcpu: Vcpu): void {
  while (vcpu.settle());
}
