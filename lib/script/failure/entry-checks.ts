/**
 * Why a CPU refused to enter a guest: the hardware reason of KVM_EXIT_FAIL_ENTRY, and which of the CPU's checks the vCPU's
 * registers fail. Source: Intel SDM volume 3, 27.3.1 (checks on the guest state area), 27.8 and appendix C; AMD APM volume 2,
 * 15.5.1 (VMRUN: canonicalization and consistency checks).
 */
import { type KvmRegs, type KvmSregs, RFLAGS_IF } from '../../abi/kvm/index.ts';
import { hex } from '../../base/text.ts';

type Segment = KvmSregs['cs'];
interface State {
  readonly regs: Pick<KvmRegs, 'rip' | 'rflags'>;
  readonly sregs: KvmSregs;
}

const PE = 1n;
const PG = 1n << 31n;
const PAE = 1n << 5n;
const LME = 1n << 8n;
const LMA = 1n << 10n;
const VM = 1n << 17n;
/** Bits 63:22, 15, 5 and 3 are 0. */
const RFLAGS_ZERO = ~0x3f_7fd7n & 0xffff_ffff_ffff_ffffn;

const ENTRY_FAILED = 1n << 31n;
const intel: Readonly<Record<number, string>> = {
  33: 'VM entry failed: invalid guest state',
  34: 'VM entry failed: loading MSRs',
  41: 'VM entry failed: machine check',
};

/** What the number means, where it is known. */
export function entryFailureReason(reason: bigint): string | null {
  if (reason === 0xffff_ffff_ffff_ffffn || reason === 0xffff_ffffn)
    return 'VMEXIT_INVALID: VMRUN found an illegal state';
  if (reason & ENTRY_FAILED) return intel[Number(reason & 0xffffn)] ?? null;
  if (reason === 7n) return 'VM-instruction error 7: VM entry with invalid control fields';
  if (reason === 8n) return 'VM-instruction error 8: VM entry with invalid host-state fields';
  return null;
}

/** The checks that these registers fail, each with its section; none says nothing: KVM does not tell all that the CPU sees. */
export function failedEntryChecks(state: State): string[] {
  return [...controlChecks(state), ...rflagsChecks(state), ...segmentChecks(state), ...baseChecks(state)];
}

function controlChecks({ sregs: { cr0, cr3, cr4, efer } }: State): string[] {
  const failed: string[] = [];
  const say = (bad: boolean, text: string) => bad && failed.push(text);
  const longMode = (efer & LMA) !== 0n;
  say((cr0 & PG) !== 0n && (cr0 & PE) === 0n, 'CR0.PG without CR0.PE (SDM 27.3.1.1)');
  say((cr0 & (1n << 29n)) !== 0n && (cr0 & (1n << 30n)) === 0n, 'CR0.NW without CR0.CD (APM 15.5.1)');
  say(cr0 >> 32n !== 0n, 'CR0 has one of its upper 32 bits set (APM 15.5.1)');
  say(longMode && (cr0 & PG) === 0n, 'EFER.LMA without CR0.PG (SDM 27.3.1.1)');
  say(longMode && (cr4 & PAE) === 0n, 'EFER.LMA without CR4.PAE (SDM 27.3.1.1)');
  const active = (efer & LME) !== 0n && (cr0 & PG) !== 0n;
  say(active !== longMode && (cr0 & PG) !== 0n, 'EFER.LMA is not EFER.LME, with CR0.PG set (SDM 27.3.1.1)');
  say(cr3 >> 52n !== 0n, 'CR3 has a bit beyond the physical addresses (SDM 27.3.1.1)');
  say((efer & ~0xfd01n & ~(1n << 20n) & ~(1n << 21n)) !== 0n, `EFER ${hex(efer)} has a reserved bit (SDM 27.3.1.1)`);
  return failed;
}

function rflagsChecks({ regs: { rflags }, sregs: { cr0, efer, interruptBitmap } }: State): string[] {
  const failed: string[] = [];
  if ((rflags & 2n) === 0n) failed.push('RFLAGS bit 1 is 0 (SDM 27.3.1.4)');
  if ((rflags & RFLAGS_ZERO) !== 0n) failed.push(`RFLAGS ${hex(rflags)} has a reserved bit (SDM 27.3.1.4)`);
  const v8086 = (rflags & VM) !== 0n;
  if (v8086 && ((efer & LMA) !== 0n || (cr0 & PE) === 0n))
    failed.push('RFLAGS.VM in long mode, or without CR0.PE (SDM 27.3.1.4)');
  const waits = interruptBitmap.some((word) => word !== 0n);
  if (waits && (rflags & RFLAGS_IF) === 0n)
    failed.push('an external interrupt is to be injected and RFLAGS.IF is 0 (SDM 27.3.1.4)');
  return failed;
}

function segmentChecks({ regs: { rflags }, sregs }: State): string[] {
  const { cs, ss, tr, ldt, efer, cr0 } = sregs;
  const failed: string[] = [];
  const say = (bad: boolean, text: string) => bad && failed.push(`${text} (SDM 27.3.1.2)`);
  say(tr.unusable !== 0, 'TR is unusable');
  say(tr.type !== 11 && (tr.type !== 3 || (efer & LMA) !== 0n), `TR's type is ${tr.type}, and not a busy TSS`);
  say(tr.s !== 0 || tr.present === 0, 'TR is no system segment, or not present');
  if (ldt.unusable === 0) say(ldt.type !== 2 || ldt.s !== 0 || ldt.present === 0, 'LDTR is usable and no present LDT');
  const named = { CS: cs, SS: ss, DS: sregs.ds, ES: sregs.es, FS: sregs.fs, GS: sregs.gs, TR: tr };
  for (const [name, segment] of Object.entries(named))
    if (segment.unusable === 0) say(!granular(segment), `${name}'s limit ${hex(segment.limit)} does not fit its G bit`);
  if ((rflags & VM) !== 0n) {
    for (const [name, segment] of Object.entries({ CS: cs, SS: ss, DS: sregs.ds, ES: sregs.es }))
      say(
        segment.base !== BigInt(segment.selector) << 4n || segment.limit !== 0xffff,
        `${name} in virtual-8086 mode has another base than its selector times 16, or another limit than 0xffff`,
      );
    return failed;
  }
  say(cs.unusable !== 0 || cs.present === 0, 'CS is unusable or not present');
  say(cs.s === 0 || ![3, 9, 11, 13, 15].includes(cs.type), `CS's type is ${cs.type}: no accessed code segment`);
  say((efer & LMA) !== 0n && cs.l !== 0 && cs.db !== 0, 'CS.L and CS.D are both set in long mode');
  if (cs.type === 9 || cs.type === 11) say(cs.dpl !== ss.dpl, `CS's DPL ${cs.dpl} is not SS's ${ss.dpl}`);
  if (cs.type === 13 || cs.type === 15) say(cs.dpl > ss.dpl, `CS's DPL ${cs.dpl} is above SS's ${ss.dpl}`);
  say(cs.type === 3 && cs.dpl !== 0, 'CS of type 3 has another DPL than 0');
  if (ss.unusable === 0)
    say(![3, 7].includes(ss.type) || ss.s === 0, `SS's type is ${ss.type}: no writable data segment`);
  say((cr0 & PE) === 0n && ss.dpl !== 0, "SS's DPL is not 0 in real mode");
  return failed;
}

/** Bits 11:0 of the limit not all 1: G is 0. Bits 31:20 not all 0: G is 1. */
function granular({ limit, g }: Segment): boolean {
  if ((limit & 0xfff) !== 0xfff && g !== 0) return false;
  return limit >>> 20 === 0 || g !== 0;
}

function baseChecks({ regs: { rip }, sregs }: State): string[] {
  const failed: string[] = [];
  const bases = { TR: sregs.tr, FS: sregs.fs, GS: sregs.gs, GDTR: sregs.gdt, IDTR: sregs.idt };
  for (const [name, { base }] of Object.entries(bases))
    if (!isCanonical(base)) failed.push(`${name}'s base ${hex(base)} is not canonical (SDM 27.3.1.2, 27.3.1.3)`);
  const is64 = (sregs.efer & LMA) !== 0n && sregs.cs.l !== 0;
  if (!is64 && rip >> 32n !== 0n) failed.push(`RIP ${hex(rip)} has upper bits outside of 64-bit mode (SDM 27.3.1.4)`);
  if (is64 && !isCanonical(rip)) failed.push(`RIP ${hex(rip)} is not canonical (SDM 27.3.1.4)`);
  return failed;
}

/** By 57 bits: what fails that fails by 48 as well. */
function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(57, address)) === address;
}

/** All of it, as a cause. */
export function describeEntryFailure(reason: bigint, state: State | null): string {
  const named = entryFailureReason(reason);
  const what = `the CPU refused the guest state (KVM_EXIT_FAIL_ENTRY, hardware reason ${hex(reason)}${named ? `: ${named}` : ''})`;
  if (!state) return what;
  const failed = failedEntryChecks(state);
  if (failed.length === 0) return `${what}; the registers that KVM shows pass the checks that are known here`;
  return `${what}; KVM does not tell which check; of the state that it has, these fail: ${failed.join('; ')}`;
}
