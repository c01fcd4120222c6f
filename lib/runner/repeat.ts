import { freshSeed, seedOfRun } from '../base/seed.ts';
import type { RunOutcome } from './outcome.ts';
import type { ParsedRun } from './parsed-run.ts';
import type { RunReporter } from './report.ts';

/** Does the runs that were asked for, one after the other, up to the first that fails; returns the exit code. */
export async function repeat(
  { options }: ParsedRun,
  reporter: RunReporter,
  runOnce: (seed: number) => Promise<RunOutcome>,
): Promise<number> {
  const first = options.seed ?? freshSeed();
  let exits = 0;
  let forwarded = 0;
  for (let run = 1; ; run++) {
    const outcome = await runOnce(seedOfRun(first, run));
    exits += outcome.exits;
    forwarded += outcome.forwarded;
    reporter.ran(outcome, run);
    if (!outcome.failure && run < options.repeat) continue;
    reporter.ended({ ...outcome, exits, forwarded }, run);
    return outcome.failure?.exitCode ?? 0;
  }
}
