import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The time that guests may still take, all together: every KVM_RUN keeps to it, so that a script whose own deadline is
 * longer still ends in time and with a report. Whoever opens a KVM device takes the budget of the work that it is part of.
 */
export class RunBudget {
  readonly #ends: number;
  /** When it is over: CLOCK_MONOTONIC in nanoseconds; infinite if nobody set a limit. */
  readonly endsNs: number;

  /** @param ms from now on; default: no limit */
  constructor(ms = Number.POSITIVE_INFINITY) {
    this.#ends = performance.now() + ms;
    this.endsNs = Number(process.hrtime.bigint()) + ms * 1e6;
  }

  /** Milliseconds that are left: 0 when the time is over, infinite if nobody set a limit. */
  get left(): number {
    return Math.max(0, this.#ends - performance.now());
  }

  /** Does work, and what follows of it, within this budget. */
  run<T>(work: () => T): T {
    return storage.run(this, work);
  }

  /** Makes it the default of this process: the budget of all work that no budget's `run` has begun. */
  makeDefault(): void {
    fallback = this;
  }

  /** The budget of the work that asks; without one, the default of the process, which has no limit unless one was set. */
  static get current(): RunBudget {
    return storage.getStore() ?? fallback;
  }
}

const storage = new AsyncLocalStorage<RunBudget>();
let fallback = new RunBudget();
