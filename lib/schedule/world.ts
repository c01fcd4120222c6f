/** What a scheduler drives: something that takes steps, one at a time, and can go back to where it began. */
import type { Footprint } from './footprint.ts';

/** The vCPUs of a machine, or what a test has instead of them. */
export interface World {
  /** Back to the beginning: what every schedule starts from. */
  begin(): void;
  /** Who can take a step now, ascending. None: this schedule is over. */
  ready(): readonly number[];
  /** Lets this one take its next step, and tells what that touched. `null`: nobody can tell. */
  step(who: number): Footprint | null;
  /** What goes back to where it stands now; `null` if only the beginning does. */
  save?(): Saved | null;
}

/** Takes a world back to where it was saved. */
export type Saved = () => void;

/** Who took each step, in order. */
export type Schedule = readonly number[];
