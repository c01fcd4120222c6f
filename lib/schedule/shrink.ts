/** The schedule that fails with the fewest changes from one vCPU to another that nothing forced. */
import type { Schedule } from './world.ts';

/**
 * Moves whole stretches of one vCPU together for as long as the schedule still fails.
 *
 * @param run runs it, as far as it can be: what it came to if that fails, or `null`
 */
export function joined(schedule: Schedule, run: (schedule: Schedule) => Schedule | null): Schedule {
  let best = schedule;
  for (let isBetter = true; isBetter; ) {
    isBetter = false;
    for (const candidate of candidatesOf(stretchesOf(best))) {
      const found = run(candidate.flat());
      if (found === null || switches(found) >= switches(best)) continue;
      best = found;
      isBetter = true;
      break;
    }
  }
  return best;
}

/** How often another vCPU goes on. */
export const switches = (schedule: Schedule): number => Math.max(0, stretchesOf(schedule).length - 1);

/** Each has fewer stretches. */
function* candidatesOf(stretches: readonly number[][]): Generator<number[][]> {
  for (let at = 0; at < stretches.length; at++) {
    const next = stretches.findIndex((one, index) => index > at && one[0] === stretches[at]![0]);
    if (next < 0) continue;
    const between = stretches.slice(at + 1, next);
    const [before, behind] = [stretches.slice(0, at), stretches.slice(next + 1)];
    yield [...before, stretches[at]!, stretches[next]!, ...between, ...behind];
    yield [...before, ...between, stretches[at]!, stretches[next]!, ...behind];
  }
}

function stretchesOf(schedule: Schedule): number[][] {
  const stretches: number[][] = [];
  for (const who of schedule) {
    const last = stretches.at(-1);
    if (last?.[0] === who) last.push(who);
    else stretches.push([who]);
  }
  return stretches;
}
