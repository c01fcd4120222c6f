/** A schedule as text, and run once more. */
import { ArgumentError } from '../base/errors.ts';
import { ScheduleError } from './errors.ts';
import type { Schedule, World } from './world.ts';

/** The character of each vCPU: of so many as a machine has at most. */
const CHARACTERS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_';

/** A character for each step: who took it. */
export const scheduleText = (schedule: Schedule): string => schedule.map((who) => CHARACTERS[who]!).join('');

/** Reads it back. Throws ArgumentError. */
export function parseSchedule(text: string): Schedule {
  return [...text].map((character, index) => {
    const who = CHARACTERS.indexOf(character);
    if (who >= 0) return who;
    const what = `Character ${index + 1} of the schedule is ${JSON.stringify(character)}`;
    throw new ArgumentError('schedule', what, 'Give a character for each step: 0 for vCPU 0, a for vCPU 10.');
  });
}

/** Runs a schedule as far as it fits: who cannot go on is left out, and behind it the first who can goes on. What it came to. */
export function follow(world: World, schedule: Schedule, longest: number): Schedule {
  const came: number[] = [];
  world.begin();
  for (const who of schedule) {
    if (!world.ready().includes(who)) continue;
    world.step(who);
    came.push(who);
  }
  for (let [who] = world.ready(); who !== undefined && came.length < longest; [who] = world.ready()) {
    world.step(who);
    came.push(who);
  }
  return came;
}

/**
 * Runs one schedule, from the beginning to its end.
 *
 * @param stepped is told of each step before it is taken
 * @throws ScheduleError if it does not fit
 */
export function replay(
  world: World,
  schedule: Schedule,
  stepped?: (who: number, ready: readonly number[]) => void,
): void {
  world.begin();
  schedule.forEach((who, index) => {
    const ready = world.ready();
    if (!ready.includes(who)) throw misfit(index, who, ready);
    stepped?.(who, ready);
    world.step(who);
  });
  const left = world.ready();
  if (left.length === 0) return;
  const who = left.map((id) => `vCPU ${id}`).join(', ');
  throw new ScheduleError(
    schedule.length + 1,
    `The schedule ends after ${schedule.length} steps, and ${who} can go on`,
    'Give the whole schedule, as it was printed.',
  );
}

function misfit(index: number, who: number, ready: readonly number[]): ScheduleError {
  const there = ready.length === 0 ? 'nobody can: all is over' : `only these can: ${ready.join(', ')}`;
  return new ScheduleError(
    index + 1,
    `At step ${index + 1} the schedule names vCPU ${who}, which cannot go on; ${there}`,
    'Give a schedule of this program, as it was printed.',
  );
}
