/** The options of `m.explore()`, and what its callbacks and its caller get. */
import type { Duration } from '../../base/duration.ts';
import { MAX_SEED } from '../../base/seed.ts';
import { duration, integer, oneOf, optional, shape, text } from '../../base/shape.ts';
import type { GuestCode } from '../../guest/code.ts';
import type { ProgramOptions } from '../machine/program.ts';

/** What a vCPU runs under each schedule: code, or code and what `vcpu.program()` takes beside it. */
export type ExploredProgram = GuestCode | Uint8Array | ProgramWithOptions;

/** Code, and what `vcpu.program()` takes beside it. */
export interface ProgramWithOptions extends ProgramOptions {
  /** From `asm`, or raw bytes with marked steps. */
  code: GuestCode | Uint8Array;
}

/** What ends a step, beside a word to the host (`sync`, `tell`, `done`), a handled interrupt, and a vCPU that goes to sleep. */
export type Steps = 'instruction' | 'marked' | 'exit';

/** Which schedules are run. */
export type Schedules = 'all' | 'distinct' | RandomSchedules | PctSchedules | FewPreemptions;

/** Random ones. */
export interface RandomSchedules {
  /** How many, 1 to 1,000,000,000. */
  random: number;
}

/** Those of PCT, which go by priorities. */
export interface PctSchedules {
  /** How many, 1 to 1,000,000,000. */
  pct: number;
  /** So many steps have to come in one order for the bug: 1 to 100. Default 3. */
  depth?: number;
}

/** All that pass over few vCPUs that could go on. */
export interface FewPreemptions {
  /** How many at most, 0 to 1000. */
  preemptions: number;
}

/** How `m.explore()` goes about it. */
export interface ExploreOptions {
  /**
   * `instruction` (default): one instruction each, by an `out` that is put between them; for code of `asm`. `marked`: up to the
   * next `step()` of the program. `exit`: up to the next return of KVM_RUN.
   */
  steps?: Steps;
  /**
   * `all` (default). `distinct`: one of those that differ in the order of independent steps alone. `{ random: 1000 }`: so many, each choice
   * as likely. `{ pct: 1000, depth: 3 }`: so many by priorities, which finds what takes `depth` ordered steps. `{ preemptions: 2 }`:
   * all in which a vCPU that could go on is passed over at most so often.
   */
  schedules?: Schedules;
  /** Of random schedules and PCT, 0 to 2^32-1; default: of the session (`--seed`). */
  seed?: number;
  /** This one alone, as an error has told it: a character for each step. */
  schedule?: string;
  /** Steps that a schedule may have, 1 to 1,000,000. Default 10,000. */
  longest?: number;
  /** For all of them. Default 60 s. */
  deadline?: Duration;
}

/** What an invariant is told of the schedule that has just ended. */
export interface ScheduleEnd {
  /** A character for each step: who took it. */
  readonly schedule: string;
  /** vcpu_ids of those that have come to their `done()`. */
  readonly done: readonly number[];
}

/**
 * Looks at the machine at the end of a schedule, by all that the kit has: `m.vcpu(1).interrupts`, `m.memory`, registers and APICs. It
 * holds if this returns nothing or true; it does not if it returns false or says why, or throws.
 */
export type Invariant<M> = (m: M, end: ScheduleEnd) => unknown;

/** What came of `m.explore()`: the invariant held. */
export interface Explored {
  /** How many schedules were run. */
  readonly schedules: number;
  /** Steps, those of all schedules together. */
  readonly steps: number;
  /** True if there are no others: of `all`, `distinct` and `preemptions`, unless `--limit` ended them. */
  readonly complete: boolean;
  /** Of random schedules. */
  readonly seed?: number;
  /** Of every step, where it came to: equal for equal schedules, 8 hexadecimal digits. */
  readonly digest: string;
}

const count = integer(1, 1_000_000_000);
const kinds = {
  random: shape<RandomSchedules>('schedules takes', { random: count }),
  pct: shape<PctSchedules>('schedules takes', { pct: count, depth: optional(integer(1, 100)) }),
  preemptions: shape<FewPreemptions>('schedules takes', { preemptions: integer(0, 1000) }),
};
const names = oneOf(['all', 'distinct']);

export const exploreOptions = shape<ExploreOptions>('explore() takes', {
  steps: optional(oneOf(['instruction', 'marked', 'exit'])),
  schedules: optional((argument, value) => {
    if (typeof value !== 'object' || value === null) return names(argument, value);
    const kind = (Object.keys(kinds) as (keyof typeof kinds)[]).find((key) => key in value) ?? 'random';
    return kinds[kind].take(value, argument) as Schedules;
  }),
  seed: optional(integer(0, MAX_SEED)),
  schedule: optional(text),
  longest: optional(integer(1, 1_000_000)),
  deadline: optional(duration),
});
