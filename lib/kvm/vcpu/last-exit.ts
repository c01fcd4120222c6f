/** What is known of a vCPU without asking the kernel: when its last exit came, where the guest was, its IA32_APIC_BASE. */
import { kvmRegs } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { KVM_SYNC_X86_REGS, kvmRun, RUN_SYNC_REGS_OFFSET } from '../../abi/kvm/kvm-run.ts';
import type { Entries, OpenVcpu } from './host.ts';

/** The two registers of an exit that a trace tells. */
export interface ExitRegs {
  /** RIP when the exit was taken. */
  rip: bigint;
  /** RCX: `tell()` and `assertThat()` have the second half of their word there. */
  rcx: bigint;
}

// The low byte of each has the bit: no BigInt is made for it, since this is on the way of every exit.
const VALID_REGS = kvmRun.fields.kvmValidRegs.offset;
const DIRTY_REGS = kvmRun.fields.kvmDirtyRegs.offset;
const { rip, rcx } = kvmRegs.fields;

/** A vCPU's last exit, and what holds until somebody does something to the vCPU. */
export class LastExit implements Entries {
  readonly #vcpu: OpenVcpu;
  readonly #page: DataView;
  #ns = 0;
  /** `regs()` has been asked: from then on each KVM_RUN leaves the registers in kvm_run. */
  #asks: boolean | null = null;
  /** KVM_RUN was called so that it leaves them there. */
  #asked = false;
  /** It has done so, and nobody has done anything to the vCPU since. */
  #current = false;
  /** IA32_APIC_BASE, if it was asked for, and neither the guest nor an ioctl has had a chance to change it since. */
  apicBase: bigint | null = null;

  /** @param page the vCPU's mapping of kvm_run */
  constructor(vcpu: OpenVcpu, page: DataView) {
    this.#vcpu = vcpu;
    this.#page = page;
  }

  get ns(): number {
    return this.#ns;
  }

  entering(regs = false): void {
    const page = this.#page;
    this.#current = false;
    this.apicBase = null;
    const valid = page.getUint8(VALID_REGS);
    this.#asked = (valid & KVM_SYNC_X86_REGS) !== 0;
    if (this.#asked || !(regs || this.#asks)) return;
    page.setUint8(VALID_REGS, valid | KVM_SYNC_X86_REGS);
    this.#asked = true;
  }

  exited(ns: number): void {
    this.#ns = ns;
    // Still: a program may have written kvm_run meanwhile.
    this.#current = this.#asked && (this.#page.getUint8(VALID_REGS) & KVM_SYNC_X86_REGS) !== 0;
  }

  /** An ioctl is made on the vCPU: it may change the registers. */
  touched(): void {
    this.#current = false;
    this.apicBase = null;
  }

  regs(): ExitRegs {
    const { view } = this.#vcpu.run();
    this.#asks ??= (this.#vcpu.offered('KVM_CAP_SYNC_REGS') & KVM_SYNC_X86_REGS) !== 0;
    // What a program has put there for the next KVM_RUN to take is not in the vCPU yet.
    if (this.#current && (view.getUint8(DIRTY_REGS) & KVM_SYNC_X86_REGS) === 0)
      return { rip: rip.read(view, RUN_SYNC_REGS_OFFSET), rcx: rcx.read(view, RUN_SYNC_REGS_OFFSET) };
    const regs = kvmRegs.decode(this.#vcpu.read(ioctls.KVM_GET_REGS, kvmRegs.size));
    return { rip: regs.rip, rcx: regs.rcx };
  }
}
