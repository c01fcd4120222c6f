/** Schedules by chance: evenly at each step, or by priorities (PCT). */
import { ScheduleLengthError } from './errors.ts';
import type { Schedule, World } from './world.ts';

/** An integer from `min` to `max`, both included. */
export type DrawInteger = (min: number, max: number) => number;

/** Who goes on, of those that can. */
type Chooser = (ready: readonly number[], step: number) => number;

/** So many schedules; at each step everybody who can go on is as likely. */
export function* randomSchedules(world: World, count: number, draw: DrawInteger, longest: number): Generator<Schedule> {
  for (let run = 0; run < count; run++) yield oneSchedule(world, (ready) => ready[draw(0, ready.length - 1)]!, longest);
}

/**
 * So many schedules of PCT: each vCPU has a priority drawn anew, the highest that can go on does, and at `depth - 1` steps drawn
 * beforehand the one that goes on falls below all others. A bug that takes `depth` ordered steps of n vCPUs with k steps in all
 * is found by one with a probability of at least 1 / (n * k^(depth - 1)).
 *
 * Source: Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010.
 */
export function* pctSchedules(
  world: World,
  { count, depth, vcpus }: { count: number; depth: number; vcpus: readonly number[] },
  draw: DrawInteger,
  longest: number,
): Generator<Schedule> {
  // How long they are is not known before the first one has been run.
  let steps = 1;
  for (let run = 0; run < count; run++) {
    const order = shuffled(vcpus, draw);
    const falls = Array.from({ length: depth - 1 }, () => draw(1, steps));
    const schedule = oneSchedule(
      world,
      (ready, step) => {
        const first = order.find((who) => ready.includes(who))!;
        if (falls.includes(step)) order.push(...order.splice(order.indexOf(first), 1));
        return order.find((who) => ready.includes(who))!;
      },
      longest,
    );
    steps = Math.max(steps, schedule.length);
    yield schedule;
  }
}

function oneSchedule(world: World, choose: Chooser, longest: number): Schedule {
  const schedule: number[] = [];
  world.begin();
  for (let ready = world.ready(); ready.length > 0; ready = world.ready()) {
    if (schedule.length >= longest) throw new ScheduleLengthError(longest);
    const who = choose(ready, schedule.length);
    schedule.push(who);
    world.step(who);
  }
  return schedule;
}

function shuffled(list: readonly number[], draw: DrawInteger): number[] {
  const order = [...list];
  for (let last = order.length - 1; last > 0; last--) {
    const other = draw(0, last);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}
