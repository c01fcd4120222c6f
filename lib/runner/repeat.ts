import { freshSeed, seedOfRun } from '../base/seed.ts';
import { printAtOnce } from '../target/output.ts';
import { describeTarget } from '../target/target.ts';
import { ScriptExitError } from './errors.ts';
import { KernelWatch } from './kernel-watch.ts';
import { failureOf } from './outcome.ts';
import type { ParsedRun, ScriptOutcome } from './protocol.ts';
import type { ScriptReporter } from './report.ts';

/** Does the runs that were asked for, one after the other, up to the first that fails; returns the exit code. */
export async function repeatRuns(
  { options }: ParsedRun,
  reporter: ScriptReporter,
  runOnce: (seed: number, exited: (outcome: ScriptOutcome) => number) => Promise<ScriptOutcome>,
): Promise<number> {
  const first = options.seed ?? freshSeed();
  let exits = 0;
  let forwarded = 0;
  using kernel = new KernelWatch((text) => reporter.note(text));
  for (let run = 1; ; run++) {
    const seed = seedOfRun(first, run);
    reporter.begins({ run, seed, exits, forwarded, on: describeTarget() });
    const conclude = (outcome: ScriptOutcome): number => {
      const judged = kernel.judge(outcome);
      exits += judged.exits;
      forwarded += judged.forwarded;
      reporter.ran(judged, run);
      if (!judged.failure && run < options.repeat) return 0;
      reporter.ended({ ...judged, exits, forwarded }, run);
      return judged.failure?.exitCode ?? 0;
    };
    const outcome = await runOnce(seed, (last) => {
      printAtOnce();
      if (last.failure || run === options.repeat) return conclude(last);
      const error = new ScriptExitError(
        `The script called process.exit in run ${run} of ${options.repeat}, which ended the others`,
      );
      return conclude({ ...last, failure: failureOf(error) });
    });
    const code = conclude(outcome);
    if (outcome.failure || run === options.repeat || code !== 0) return code;
  }
}
