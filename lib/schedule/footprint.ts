/** What a step touches, and which steps of two vCPUs may change places without anybody seeing it. */

/** Guest physical bytes. */
export interface Touched {
  readonly from: number;
  /** The first one behind it. */
  readonly to: number;
  readonly writes: boolean;
}

/**
 * A step of which all is known: it changes its own registers, the memory that stands here, and perhaps its local APIC. Of every
 * other step there is none.
 */
export interface Footprint {
  readonly memory: readonly Touched[];
  /** It reads or writes a register of the local APIC. */
  readonly apic: boolean;
  /** RFLAGS.IF was 1 before it or behind it: an interrupt that comes first is taken instead of it. */
  readonly interruptible: boolean;
}

/**
 * True if two steps of different vCPUs lead to the same whichever comes first. What is not known depends on everything; a step
 * at the local APIC may send an interrupt, which a step with interrupts enabled would feel.
 */
export function independent(a: Footprint | null, b: Footprint | null): boolean {
  if (a === null || b === null) return false;
  if (a.apic && (b.apic || b.interruptible)) return false;
  if (b.apic && a.interruptible) return false;
  return !a.memory.some((one) => b.memory.some((other) => conflict(one, other)));
}

const conflict = (a: Touched, b: Touched) => (a.writes || b.writes) && a.from < b.to && b.from < a.to;
