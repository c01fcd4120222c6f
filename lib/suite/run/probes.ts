/** The questions that a kernel is asked before any check: each on its own, so that one that fails costs no other. */

/** What is found out by each, for documents. */
export const probes = {
  forwarding: "whether a guest's ICR writes come out",
  ipi: 'whether KVM_DSM_IPI is known',
  x2apic: 'whether KVM_DSM_X2APIC is known',
  base: 'whether KVM_DSM_APIC_BASE is known',
  cpuid: 'what KVM offers guests in CPUID',
} as const;

export type ProbeName = keyof typeof probes;

export const isProbeName = (value: unknown): value is ProbeName =>
  typeof value === 'string' && Object.hasOwn(probes, value);

/** The word in the kernel's log, after the mark, before the name of the probe which begins. */
export const PROBE_WORD = 'probe';

/** Why a probe found out nothing. */
export type FailedProbes = Partial<Record<ProbeName, string>>;

export interface ProberOptions {
  /** Those that took their process, or the machine, with them: they are not tried again. */
  failed?: FailedProbes;
  /** Is called before each. */
  begin?: (name: ProbeName) => void;
}

/** Asks one thing after the other, and notes what cannot be found out. */
export class Prober {
  readonly failed: FailedProbes;
  readonly #begin: (name: ProbeName) => void;

  constructor({ failed = {}, begin = () => {} }: ProberOptions) {
    this.failed = { ...failed };
    this.#begin = begin;
  }

  /** What `look` finds; `otherwise` if that is nothing. */
  ask<T>(name: ProbeName, look: () => T, otherwise: T): T {
    if (this.failed[name] !== undefined) return otherwise;
    this.#begin(name);
    try {
      return look();
    } catch (error) {
      this.failed[name] = String(error).split('\n', 1)[0]!;
      return otherwise;
    }
  }
}
