/** The guest that makes a program's writes itself: what its own vCPU, its exits and its kvm_run are like is judged as well. */
import { lapicRegisters } from '../../../../abi/apic/lapic.ts';
import { IA32_APIC_BASE, X2APIC_ICR } from '../../../../abi/apic/msr.ts';
import { kvmRegs, kvmSregs } from '../../../../abi/kvm/index.ts';
import { ioctls } from '../../../../abi/kvm/ioctl.ts';
import { kvmRun } from '../../../../abi/kvm/kvm-run.ts';
import { hex } from '../../../../base/text.ts';
import type { Exit } from '../../../../exit/exit.ts';
import { describeExit } from '../../../../exit/text.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { isPort, saw } from '../../../kit/drive.ts';
import { DONE_PORT } from '../../../kit/guests.ts';
import { differences } from '../../../kit/twin-differences.ts';
import { MMIO_LENGTH, MSR_LENGTH, MSR_PART, type TwinWrite } from '../../../kit/twin-writes.ts';
import { ENTRY, RUN_BYTES, type Stand, type StandState } from './stand.ts';

const at = {
  rax: kvmRegs.fields.rax.offset,
  rcx: kvmRegs.fields.rcx.offset,
  rdx: kvmRegs.fields.rdx.offset,
  rdi: kvmRegs.fields.rdi.offset,
  rip: kvmRegs.fields.rip.offset,
};
export const CR8_AT = kvmSregs.fields.cr8.offset;
export const APIC_BASE_AT = kvmSregs.fields.apicBase.offset;

const runOf = ({ kvmRun: view }: Stand['source']) => Buffer.from(Buffer.from(view.buffer, view.byteOffset, RUN_BYTES));

export class LiveGuest {
  readonly #ctx: CheckContext;
  readonly #stand: Stand;
  readonly #split: boolean;
  /** As the guest's code leaves them; a decoder takes an emulated CPU long. */
  #regs: Buffer = Buffer.alloc(0);
  #sregs: Buffer = Buffer.alloc(0);
  #icr2 = 0;
  #ownTpr = false;
  /** kvm_run of each of the others. */
  #others: (Buffer | null)[] = [];
  #exit: Exit | null = null;

  constructor(ctx: CheckContext, stand: Stand, split: boolean) {
    this.#ctx = ctx;
    this.#stand = stand;
    this.#split = split;
  }

  /** From a state of its vCPU on. `ownTpr`: the guest's entry makes another one. */
  begin(state: StandState, ownTpr = false): void {
    this.#ownTpr = ownTpr;
    const { vcpus, source } = this.#stand;
    this.#regs = Buffer.from(state.regs);
    this.#sregs = Buffer.from(state.sregs);
    this.#icr2 = state.lapic.readUInt32LE(lapicRegisters.ICR2);
    this.#others = vcpus.map((vcpu) => (vcpu === source ? null : runOf(vcpu)));
  }

  /** Makes a write, to the exit that tells of it, or to the end of the program. */
  write(write: TwinWrite): void {
    const { source } = this.#stand;
    this.#exit = null;
    if (write.register === 'base' && write.host) {
      source.setMsr(IA32_APIC_BASE, write.value);
      return;
    }
    const regs = this.#regs;
    const put = (where: number, value: bigint) => regs.writeBigUInt64LE(value, where);
    if (write.register === 'ICR' || write.register === 'ICR2') {
      put(at.rip, BigInt(ENTRY));
      put(at.rdi, (this.#sregs.readBigUInt64LE(APIC_BASE_AT) & ~0xfffn) + BigInt(lapicRegisters[write.register]));
      put(at.rax, BigInt(write.value));
    } else {
      put(at.rip, BigInt(ENTRY + MSR_PART));
      put(at.rcx, BigInt(write.register === 'x2' ? X2APIC_ICR : IA32_APIC_BASE));
      put(at.rax, BigInt.asUintN(32, write.value));
      put(at.rdx, write.value >> 32n);
    }
    source.ioctlRaw(ioctls.KVM_SET_REGS, regs);
    const { profile } = this.#ctx;
    for (;;) {
      const exit = saw(this.#ctx, source, source.run({ profile }));
      this.#exit = exit;
      if (isPort(exit, DONE_PORT) || Object.hasOwn(profile.exits, exit.name)) break;
    }
    const length = write.register === 'ICR' || write.register === 'ICR2' ? MMIO_LENGTH : MSR_LENGTH;
    put(at.rip, regs.readBigUInt64LE(at.rip) + BigInt(length));
  }

  /** What is wrong after the last write; `now`: what its vCPU is like. */
  judge(write: TwinWrite, now: StandState): string[] {
    const ofBase = write.register === 'base';
    if (ofBase) now.sregs.copy(this.#sregs, APIC_BASE_AT, APIC_BASE_AT, APIC_BASE_AT + 8);
    if (this.#ownTpr) now.sregs.copy(this.#sregs, CR8_AT, CR8_AT, CR8_AT + 8);
    const wrong = this.#exit ? [...this.#told(write, this.#exit), ...this.#run(now)] : [];
    if (!now.regs.equals(this.#regs))
      wrong.push(...differences('', kvmRegs.decode(now.regs), kvmRegs.decode(this.#regs)));
    if (!now.sregs.equals(this.#sregs))
      wrong.push(...differences('', kvmSregs.decode(now.sregs), kvmSregs.decode(this.#sregs)));
    return wrong;
  }

  /** What is wrong with the others, after some writes. */
  judgeOthers(): string[] {
    return this.#stand.vcpus.flatMap((vcpu, place) => {
      const before = this.#others[place];
      return before && !before.equals(runOf(vcpu)) ? [`kvm_run of vCPU ${vcpu.vcpuId} changed`] : [];
    });
  }

  /** An exit that is left when all writes are made. */
  left(): Exit | null {
    const { source } = this.#stand;
    return source.settle() ? source.exit(this.#ctx.profile) : null;
  }

  /** The payload of the exit. */
  #told(write: TwinWrite, exit: Exit): string[] {
    if (write.register !== 'ICR' && write.register !== 'ICR2') return [];
    if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') return [`its exit was ${describeExit(exit)}`];
    if (write.register === 'ICR2') this.#icr2 = write.value;
    const wanted = [this.#stand.source.vcpuId, lapicRegisters[write.register], write.value, this.#icr2 >>> 24];
    const got = [exit.id, exit.val, exit.val2, exit.destId ?? wanted[3]!];
    return ['id', 'val', 'val2', 'dest_id'].flatMap((name, n) =>
      got[n] === wanted[n] ? [] : [`its exit has ${name} ${hex(got[n]!)}, not ${hex(wanted[n]!)}`],
    );
  }

  /** What kvm_run says beside: the guest has its interrupts off. */
  #run(now: StandState): string[] {
    const { kvmRun: view } = this.#stand.source;
    const { fields } = kvmRun;
    const wanted: Partial<Record<keyof typeof fields, number | bigint>> = {
      requestInterruptWindow: 0,
      immediateExit: 0,
      readyForInterruptInjection: this.#split ? 0 : 1,
      ifFlag: 0,
      flags: 0,
      cr8: BigInt(now.lapic.readUInt32LE(lapicRegisters.TPR) >> 4),
      apicBase: now.sregs.readBigUInt64LE(APIC_BASE_AT),
    };
    const wrong: string[] = [];
    for (const name of Object.keys(wanted) as (keyof typeof wanted)[]) {
      const got = fields[name].read(view, 0);
      if (got !== wanted[name]) wrong.push(`its kvm_run has ${name} ${hex(got)}, not ${hex(wanted[name]!)}`);
    }
    return wrong;
  }
}
