/** Histories, one after the other, until there is a difference or the time is over. */
import * as fc from 'fast-check';
import type { ModelOptions } from '../apic/model/state.ts';
import { isParameterOn } from '../host/module-parameter.ts';
import type { Kvm } from '../kvm/kvm.ts';
import { forwardsIcrWrites } from '../probe/icr-write.ts';
import { histories } from './arbitrary.ts';
import { type Parting, tryHistory } from './history.ts';
import { LIMIT, Rig } from './rig.ts';

export interface HistoriesOptions {
  vcpus: number;
  seed: number;
  /** Of fast-check: which of the histories of this seed, and which of its smaller ones. */
  path?: string;
  /** Of several that explore with this seed, which one this is. */
  turn: { readonly at: number; readonly of: number };
  /** Stops after so many histories, */
  histories: number;
  /** or so many ms. */
  limit: number;
  /** Is told how many there were so far. */
  onProgress(totals: { histories: number; ms: number }): void;
  /** There is a difference, which is made smaller from now on. */
  onFound(): void;
  /** Ends it. */
  signal: AbortSignal;
}

export interface TriedHistories {
  histories: number;
  ms: number;
  /** Where the kernel and the model part, made small; and how it is had again. */
  found: {
    parting: Parting;
    replay: string;
    shrinks: number;
    msToFind: number;
    /** It came again when the smallest history was tried once more. */
    steady: boolean;
  } | null;
}

/** kvm.vector_hashing, on unless somebody has said otherwise; where it cannot be read nothing is taken for granted. */
function isHashing(): boolean {
  try {
    return isParameterOn('/sys/module/kvm/parameters/vector_hashing');
  } catch {
    return false;
  }
}

/** What differs between kernels, as it is with this one. */
export const modelOf = (kvm: Kvm, { vendor, optsIn }: Rig): ModelOptions => ({
  vendor,
  forwards: kvm.profile.optIn === undefined ? forwardsIcrWrites(kvm) : optsIn,
  forwardsMsrs: optsIn,
  hashing: isHashing(),
  tscDeadline: true,
});

/** A guest's TSC begins with its machine, in ms: below the deadline of a timer that is on its way (FAR_DEADLINE). */
const OLDEST = 1_200_000;

/**
 * Where a guest does not end, each of the smaller histories that are tried may take as long as that: they have so many times what
 * the slowest part took until then, in ms, and so many at least.
 */
const SLOWER = 10;
const LEAST = 100;
/** A difference is made smaller for so long at most, in ms. */
const SHRINKING = 60_000;

/** As many histories as fast-check makes of one seed. */
export const BATCH = 50;

export async function explore(kvm: Kvm, options: HistoriesOptions): Promise<TriedHistories> {
  const arbitrary = histories(fc, options.vcpus);
  const began = performance.now();
  let rig = new Rig(kvm, options.vcpus);
  let made = began;
  const model = modelOf(kvm, rig);
  let tried = 0;
  let msToFind = 0;
  let last: Parting | null = null;
  let stray: TriedHistories['found'] = null;
  let slowest = 0;
  // Nobody knows what state it is in after a difference.
  const renew = (limit = LIMIT) => {
    if (msToFind === 0) slowest = Math.max(slowest, rig.slowest);
    rig[Symbol.dispose]();
    rig = new Rig(kvm, options.vcpus, limit);
    made = performance.now();
  };
  const patience = () => (msToFind === 0 ? LIMIT : Math.min(LIMIT, Math.max(LEAST, Math.ceil(SLOWER * slowest))));
  try {
    for (let batch = 0; ; batch++) {
      const { at, of } = options.turn;
      const seed = (options.seed + at + batch * of) | 0;
      const left = options.path === undefined ? options.histories - tried : 1;
      if (left <= 0 || performance.now() - began > options.limit) break;
      options.signal.throwIfAborted();
      if (performance.now() - made > OLDEST) renew();
      const before = tried;
      const property = fc.property(arbitrary, (steps) => {
        if (msToFind > 0 && performance.now() - began > msToFind + SHRINKING) return true;
        const parting = tryHistory(rig, model, steps);
        tried += 1;
        if (parting === null) return true;
        const ms = performance.now() - began;
        renew(patience());
        // It counts if a machine shows it that knows of nothing before.
        const again = tryHistory(rig, model, steps);
        if (again === null) {
          const replay = `${seed >>> 0}:${tried - before - 1}`;
          if (msToFind === 0) stray ??= { parting, replay, shrinks: 0, msToFind: ms, steady: false };
          return true;
        }
        last = again;
        if (msToFind === 0) {
          slowest = Math.max(slowest, rig.slowest);
          msToFind = ms;
          options.onFound();
        }
        renew(patience());
        return false;
      });
      const result = fc.check(property, {
        seed,
        numRuns: Math.min(BATCH, left),
        ...(options.path === undefined ? {} : { path: options.path, endOnFailure: true }),
      });
      if (result.failed && result.counterexample) {
        const steps = result.counterexample[0];
        renew();
        const again = tryHistory(rig, model, steps);
        const parting = again ?? last;
        const replay = `${seed >>> 0}:${result.counterexamplePath ?? ''}`;
        const shrinks = result.numShrinks;
        if (parting === null) throw new Error(`fast-check failed by itself: ${String(result.errorInstance)}`);
        return {
          histories: before + result.numRuns,
          ms: performance.now() - began,
          found: { parting, replay, shrinks, msToFind, steady: again !== null },
        };
      }
      options.onProgress({ histories: tried, ms: performance.now() - began });
      if (options.path !== undefined) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    rig[Symbol.dispose]();
  }
  // What came of earlier histories as well is told where there is nothing else to tell.
  return { histories: tried, ms: performance.now() - began, found: stray };
}
