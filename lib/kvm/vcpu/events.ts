/** What is on its way to a vCPU: interrupts, NMIs, SMIs, exceptions; and its mp_state. */
import {
  type KvmVcpuEvents,
  kvmInterrupt,
  kvmMpState,
  kvmRegs,
  kvmVcpuEvents,
  RFLAGS_IF,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInteger, checkObject } from '../../base/check.ts';
import { hex } from '../../base/text.ts';
import { InterruptWindowError } from './errors.ts';
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
    checkInteger('vector', vector, 0, 255);
    // With local APICs in the kernel it waits there until the guest can take it.
    if (this.#vcpu.irqchip() === 'none') this.#checkWindow(vector);
    this.#vcpu.ioctl(ioctls.KVM_INTERRUPT, kvmInterrupt.encode({ irq: vector }));
    this.requestWindow(false);
  }

  /** KVM itself does not look: VMX then refuses the entry, SVM delivers it. Source: kvm_vcpu_ioctl_interrupt in the kernel. */
  #checkWindow(vector: number): void {
    const { rflags } = kvmRegs.decode(this.#vcpu.read(ioctls.KVM_GET_REGS, kvmRegs.size));
    const { interrupt } = this.getVcpuEvents();
    const why =
      interrupt.injected !== 0
        ? `vector ${hex(interrupt.nr)} waits already, and would be lost`
        : (rflags & RFLAGS_IF) === 0n
          ? 'its interrupts are disabled (RFLAGS.IF is 0)'
          : interrupt.shadow !== 0
            ? 'it is in the interrupt shadow of STI, MOV SS or POP SS'
            : null;
    if (why !== null) throw new InterruptWindowError(this.#vcpu.vcpuId, vector, why);
  }

  requestWindow(wanted: boolean): void {
    this.#vcpu.run().requestInterruptWindow = wanted ? 1 : 0;
  }

  nmi(): void {
    this.#vcpu.ioctl(ioctls.KVM_NMI);
  }

  smi(): void {
    this.#vcpu.ioctl(ioctls.KVM_SMI);
  }
}
