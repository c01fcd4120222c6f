/** Every schedule of a world, depth first; those that only change the order of independent steps once, if that is wanted. */
import { ScheduleLengthError } from './errors.ts';
import { type Footprint, independent } from './footprint.ts';
import type { Saved, Schedule, World } from './world.ts';

export interface EnumerateOptions {
  /** One schedule of those that differ in the order of independent steps alone (sleep sets). */
  readonly distinct?: boolean;
  /** At most so many times another one goes on while the one before it could have. */
  readonly preemptions?: number;
  /** More steps has none. */
  readonly longest: number;
}

/** A place where somebody had to go on. */
interface Branch {
  readonly ready: readonly number[];
  /** Who is left to be tried, the one that goes now first. */
  readonly choices: number[];
  /**
   * Who sleeps: its next step, which touches this, was tried before, and all since then is independent of it. `null`: nobody
   * sleeps, whatever was tried.
   */
  readonly sleep: Map<number, Footprint | null> | null;
  /** Back to where they were to choose, if there is a choice. */
  readonly saved: Saved | null;
  /** Of the one that goes now. */
  touched: Footprint | null;
}

/**
 * Runs each schedule, and yields at its end. The world stands there then; it is taken back for the next one.
 *
 * @throws ScheduleLengthError
 */
export function* everySchedule(world: World, options: EnumerateOptions): Generator<Schedule> {
  const path: Branch[] = [];
  do {
    const from = path.findLastIndex(({ saved }) => saved !== null);
    if (from >= 0) path[from]!.saved!();
    else world.begin();
    for (const branch of path.slice(Math.max(0, from))) branch.touched = world.step(branch.choices[0]!);
    if (extend(world, path, options)) yield path.map(({ choices }) => choices[0]!);
  } while (advance(path));
}

/** Goes on to the end of a schedule. False: all who could go sleep, so that what comes now has been before. */
function extend(world: World, path: Branch[], options: EnumerateOptions): boolean {
  for (;;) {
    const ready = world.ready();
    if (ready.length === 0) return true;
    const sleep = sleepBehind(path, options);
    const choices = allowed(path, ready, options).filter((who) => !sleep?.has(who));
    if (choices.length === 0) return false;
    if (path.length >= options.longest) throw new ScheduleLengthError(options.longest);
    const saved = choices.length > 1 ? (world.save?.() ?? null) : null;
    path.push({ ready, choices, sleep, saved, touched: world.step(choices[0]!) });
  }
}

/** To the next choice of the last place that has one. False: there is none. */
function advance(path: Branch[]): boolean {
  for (let last = path.at(-1); last; last = path.at(-1)) {
    const tried = last.choices.shift()!;
    last.sleep?.set(tried, last.touched);
    if (last.choices.length > 0) return true;
    path.pop();
  }
  return false;
}

function sleepBehind(path: readonly Branch[], { distinct }: EnumerateOptions): Branch['sleep'] {
  if (!distinct) return null;
  const last = path.at(-1);
  return new Map([...(last?.sleep ?? [])].filter(([, touched]) => independent(touched, last!.touched)));
}

/** Who may go on: all, or only the one before once there were preemptions enough. */
function allowed(path: readonly Branch[], ready: readonly number[], { preemptions }: EnumerateOptions) {
  const last = path.at(-1)?.choices[0];
  if (preemptions === undefined || last === undefined || !ready.includes(last)) return ready;
  const before = path.filter(({ ready, choices }, at) => isPreemption(path[at - 1]?.choices[0], ready, choices[0]!));
  return before.length < preemptions ? ready : [last];
}

/** Another one goes on while the one before it could have. */
export function isPreemption(before: number | undefined, ready: readonly number[], who: number): boolean {
  return before !== undefined && before !== who && ready.includes(before);
}
