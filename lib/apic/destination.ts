/** Whom an IPI reaches. Source: Intel SDM volume 3, "Determining IPI Destination". */
import { type Lapic, SVR_ENABLE, X2APIC_BROADCAST, XAPIC_BROADCAST } from '../abi/apic/lapic.ts';
import type { Ipi } from './ipi.ts';
import { type ApicMode, apicMode } from './mode.ts';

/** What of a local APIC decides whether an IPI is for it. */
export interface ApicView {
  /** vcpu_id of its vCPU: who sends to itself, or to all others. */
  readonly vcpu: number;
  /** In the mode that it is in: 8 bits, or 32 in x2APIC mode. */
  readonly apicId: number;
  readonly mode: ApicMode;
  /** As in the APIC page. In x2APIC mode it is read-only, and follows from the id. */
  readonly ldr: number;
  /** As in the APIC page. There is none in x2APIC mode. */
  readonly dfr: number;
  /** Software-enabled, by SVR. */
  readonly enabled: boolean;
}

/** The view of a vCPU's APIC page (`decodeLapic`) and IA32_APIC_BASE. */
export function apicView(
  vcpu: number,
  lapic: { registers: Pick<Lapic['registers'], 'ID' | 'LDR' | 'DFR' | 'SVR'> },
  apicBase: bigint,
): ApicView {
  const { ID, LDR, DFR, SVR } = lapic.registers;
  const mode = apicMode(apicBase);
  const apicId = mode === 'x2apic' ? x2apicId(ID) : ID >>> 24;
  const ldr = mode === 'x2apic' ? x2apicLogicalId(apicId) : LDR;
  return { vcpu, apicId, mode, ldr, dfr: DFR, enabled: (SVR & SVR_ENABLE) !== 0 };
}

/** KVM keeps the id of x2APIC mode in bits 31:24 as well, unless user space asked for 32-bit ids. None is 2^24 or more. */
function x2apicId(register: number): number {
  return (register & 0x00ff_ffff) === 0 ? register >>> 24 : register;
}

/** The logical id of x2APIC mode: the cluster in bits 31:16, one bit of 15:0 for each of its sixteen APICs. */
export function x2apicLogicalId(apicId: number): number {
  return (((apicId >>> 4) << 16) | (1 << (apicId & 0xf))) >>> 0;
}

/**
 * The APICs that the IPI reaches: whom its destination names, and who takes such an IPI now. With lowest priority, which
 * reaches one alone: the candidates.
 */
export function resolve(ipi: Ipi, apics: readonly ApicView[]): readonly ApicView[] {
  return apics.filter((apic) => isNamed(ipi, apic) && accepts(ipi, apic));
}

/** Whether the destination names this APIC, be it one that is off. */
export function isNamed(ipi: Ipi, apic: ApicView): boolean {
  const { command, destination, from, named } = ipi;
  if (named) return named.ids.includes(named.by === 'vcpu' ? apic.vcpu : apic.apicId);
  if (command.shorthand === 'self') return apic.vcpu === from;
  if (command.shorthand === 'allExcludingSelf') return apic.vcpu !== from;
  if (isForEveryone(ipi)) return true;
  return command.destinationMode === 'physical' ? destination === apic.apicId : isInLogical(destination, apic);
}

/** Whether it is a broadcast: what an APIC that is off is named by, too, although nobody means it. */
export function isForEveryone({ command, destination, mode, named }: Ipi): boolean {
  if (named) return false;
  if (command.shorthand !== 'none') return command.shorthand !== 'self';
  return destination === (mode === 'x2apic' ? X2APIC_BROADCAST : XAPIC_BROADCAST);
}

/** Whether an APIC in this state takes an IPI that names it. A software-disabled one takes INIT, SIPI, NMI and SMI. */
export function accepts({ command }: Ipi, { mode, enabled }: ApicView): boolean {
  if (mode === 'disabled') return false;
  switch (command.deliveryMode) {
    case 'fixed':
    case 'lowestPriority':
      return enabled;
    case 'init':
      // INIT level de-assert: no CPU since the Pentium 4 does anything with it.
      return command.trigger === 'edge' || command.level === 'assert';
    case 'reserved3':
    case 'reserved7':
      return false;
    default:
      return true;
  }
}

/** DFR bits 31:28. */
const MODEL_FLAT = 0xf;
const MODEL_CLUSTER = 0x0;

/** By the mode of the one that is asked. */
function isInLogical(destination: number, { mode, apicId, ldr, dfr }: ApicView): boolean {
  if (mode === 'x2apic') {
    const logicalId = x2apicLogicalId(apicId);
    return logicalId >>> 16 === destination >>> 16 && (logicalId & destination & 0xffff) !== 0;
  }
  const logicalId = ldr >>> 24;
  const model = dfr >>> 28;
  if (model === MODEL_FLAT) return (logicalId & destination) !== 0;
  if (model !== MODEL_CLUSTER) return false;
  return logicalId >>> 4 === destination >>> 4 && (logicalId & destination & 0xf) !== 0;
}
