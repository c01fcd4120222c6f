import { freshSeed, seedOfRun } from '../base/seed.ts';
import { KernelWatch } from './kernel-watch.ts';
import type { ParsedRun, ScriptOutcome } from './protocol.ts';
import type { ScriptReporter } from './report.ts';

/** Does the runs that were asked for, one after the other, up to the first that fails; returns the exit code. */
export async function repeatRuns(
  { options }: ParsedRun,
  reporter: ScriptReporter,
  runOnce: (seed: number) => Promise<ScriptOutcome>,
): Promise<number> {
  const first = options.seed ?? freshSeed();
  let exits = 0;
  let forwarded = 0;
  using kernel = new KernelWatch((text) => reporter.note(text));
  for (let run = 1; ; run++) {
    const outcome = kernel.judge(await runOnce(seedOfRun(first, run)));
    exits += outcome.exits;
    forwarded += outcome.forwarded;
    reporter.ran(outcome, run);
    if (!outcome.failure && run < options.repeat) continue;
    reporter.ended({ ...outcome, exits, forwarded }, run);
    return outcome.failure?.exitCode ?? 0;
  }
}
