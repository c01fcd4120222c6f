/** What a condition of a drawn fault is about, and how it is written. */

/** Where a fault strikes: a guest's write of the ICR, of ICR2, of another register; an injection ioctl. */
export const sites = ['icr', 'icr2', 'other', 'ipi-icr', 'ipi-icr2', 'x2apic', 'base'] as const;
export type Site = (typeof sites)[number];

export const WRITES: readonly Site[] = ['icr', 'icr2'];
export const REPLAYS: readonly Site[] = ['ipi-icr', 'ipi-icr2', 'x2apic', 'base'];

export const groups = ['vcpu', 'cpu', 'instruction', 'lapic', 'vm', 'history', 'target', 'write'] as const;
export type Group = (typeof groups)[number];

/** How a field is compared: `has` is any of the bits, `mod` a multiple. */
export const ops = ['eq', 'ne', 'ge', 'lt', 'has', 'lacks', 'mod'] as const;
export type Op = (typeof ops)[number];

/** One piece of state that a kernel could look at. */
export interface StateField {
  /** As the kernel's parameter has it: kernel/fault/arch/x86/kvm/dsm_fault_cond.c. */
  name: string;
  group: Group;
  /** Where the kernel has it. */
  source: string;
  /** What it is, in the words of a sentence. */
  what: string;
  /** Where it says something. */
  sites: readonly Site[];
  /** What is drawn. */
  tests: readonly (readonly [Op, ...number[]])[];
}

const words: Readonly<Record<Op, string>> = {
  eq: 'is',
  ne: 'is not',
  ge: 'is at least',
  lt: 'is below',
  has: 'has a bit of',
  lacks: 'has no bit of',
  mod: 'is a multiple of',
};

/** What is there or not. */
export const FLAG: StateField['tests'] = [['eq', 1]];

/** A condition in words. */
export function describeCondition(field: StateField, op: Op, value: number): string {
  if (field.tests === FLAG) return `with ${field.what}`;
  return `if ${field.what} ${words[op]} ${value > 9 && op !== 'mod' ? `0x${value.toString(16)}` : value}`;
}
