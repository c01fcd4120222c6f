/** What is on its way to a vCPU: interrupts, NMIs, SMIs, exceptions; and its mp_state. */
import { type KvmVcpuEvents, kvmInterrupt, kvmMpState, kvmVcpuEvents } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInteger, checkObject } from '../../base/check.ts';
import type { OpenVcpu } from './host.ts';

/** What interrupts a vCPU, and what it waits for. */
export class Events {
  readonly #vcpu: OpenVcpu;

  constructor(vcpu: OpenVcpu) {
    this.#vcpu = vcpu;
  }

  getMpState(): number {
    return kvmMpState.decode(this.#vcpu.read(ioctls.KVM_GET_MP_STATE, kvmMpState.size)).mpState;
  }

  setMpState(mpState: number): void {
    this.#vcpu.ioctl(ioctls.KVM_SET_MP_STATE, kvmMpState.encode({ mpState }));
  }

  getVcpuEvents(): KvmVcpuEvents {
    return kvmVcpuEvents.decode(this.#vcpu.read(ioctls.KVM_GET_VCPU_EVENTS, kvmVcpuEvents.size));
  }

  setVcpuEvents(events: Partial<KvmVcpuEvents>): void {
    this.#vcpu.ioctl(
      ioctls.KVM_SET_VCPU_EVENTS,
      kvmVcpuEvents.encode({ ...this.getVcpuEvents(), ...checkObject('events', events) }),
    );
  }

  interrupt(vector: number): void {
    this.#vcpu.ioctl(ioctls.KVM_INTERRUPT, kvmInterrupt.encode({ irq: checkInteger('vector', vector, 0, 255) }));
  }

  nmi(): void {
    this.#vcpu.ioctl(ioctls.KVM_NMI);
  }

  smi(): void {
    this.#vcpu.ioctl(ioctls.KVM_SMI);
  }
}
