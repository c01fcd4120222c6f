/**
 * The time that the whole process may spend in guests: `kvm-dsm --timeout` sets it, and every KVM_RUN keeps to it, so
 * that a script whose own deadline is longer still ends in time and with a report.
 */
let ends = Number.POSITIVE_INFINITY;

/** From now on no guest runs longer than `ms` milliseconds from this moment. */
export function setRunBudget(ms: number): void {
  ends = performance.now() + ms;
}

/** Milliseconds that are left: 0 when the time is over, infinite if nobody set a limit. */
export function runBudgetLeft(): number {
  return Math.max(0, ends - performance.now());
}

/** Seconds for one KVM_RUN that may take `ms` milliseconds at most. */
export function runSeconds(ms: number): number {
  return Math.max(1e-6, Math.min(ms, runBudgetLeft()) / 1000);
}
