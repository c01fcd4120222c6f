import { pathToFileURL } from 'node:url';
import { profileByName } from '../abi/dsm/profile.ts';
import { setRunBudget } from '../base/budget.ts';
import { DeadlineError } from '../base/errors.ts';
import { context } from '../script/context.ts';
import type { Machine } from '../script/machine/machine.ts';
import { randomWasUsed, restartRandom } from '../script/random.ts';
import { isExit } from '../trace/event.ts';
import { importModule } from './bundle/import-module.ts';
import { findings } from './findings.ts';
import { explainMissingFile } from './lab-files.ts';
import { failureOf, type RunFailure, type RunOutcome } from './outcome.ts';
import type { ParsedRun } from './parsed-run.ts';
import { repeat } from './repeat.ts';
import { type RunReporter, runReporter } from './report.ts';
import { ScriptFunction } from './script-function.ts';
import { TestFeed } from './tests.ts';

/** How long a script may go on, in ms, after the time for guests is over: for its own reports. */
const GRACE = 2000;

/** Does a script's runs in this process; returns the exit code. */
export function runsHere(run: ParsedRun, code: string | undefined): Promise<number> {
  const reporter = runReporter(run);
  const runOnce = prepare(run, code, reporter);
  reporter.start();
  return repeat(run, reporter, runOnce);
}

/** Does one run for the process that has started this one, and tells it what came of it; returns the exit code. */
export async function partHere(run: ParsedRun, code: string | undefined): Promise<number> {
  const reporter = runReporter(run);
  const outcome = await prepare(run, code, reporter)(run.options.seed!);
  reporter.ran(outcome, 1);
  await new Promise((sent) => process.send!(outcome, sent));
  return outcome.failure?.exitCode ?? 0;
}

/** What each run begins with anew: the script's modules, its random choices and its machines. */
function prepare(
  run: ParsedRun,
  code: string | undefined,
  reporter: RunReporter,
): (seed: number) => Promise<RunOutcome> {
  const { script, args, options, tests } = run;
  const body = code === undefined ? undefined : new ScriptFunction(code, script);
  const ends = performance.now() + options.timeout * 1000;
  setRunBudget(options.timeout * 1000);
  context.device = options.device;
  context.profile = profileByName(options.profile);
  return async (seed) => {
    const machines: Machine[] = [];
    let exits = 0;
    let forwarded = 0;
    context.observer = {
      machine: (machine) => machines.push(machine),
      event: (event) => {
        if (isExit(event)) {
          exits += 1;
          if (event.exit.name.startsWith('KVM_EXIT_DSM_')) forwarded += 1;
        }
        reporter.event(event);
      },
    };
    restartRandom(seed);
    process.argv = [process.execPath, script, ...args];
    const judge = (error: unknown, before?: string): RunFailure => {
      const found = findings(machines, error);
      for (const finding of found) reporter.finding(finding);
      return failureOf(error, found, before);
    };
    let failure: RunFailure | undefined;
    const limit = new Limit(ends + GRACE - performance.now());
    try {
      const feed = tests ? new TestFeed() : undefined;
      await limit.keep(body ? body.run(await import('../index.ts')) : importAfresh(script, seed));
      // The tests begin to end when nothing else keeps the process busy.
      limit.unref();
      const failed = await (feed && limit.keep(feed.ended()));
      if (failed) failure = judge(failed.error, `${failed.count} of the tests failed, first "${failed.name}": `);
      else for (const finding of findings(machines, undefined)) reporter.finding(finding);
    } catch (thrown) {
      failure = judge(explainMissingFile(thrown));
    } finally {
      limit.clear();
      for (const machine of machines) machine.close();
      context.observer = {};
    }
    return { exits, forwarded, seed, seeded: randomWasUsed(), ...(failure ? { failure } : {}) };
  };
}

function importAfresh(script: string, seed: number): Promise<unknown> {
  return importModule(`${pathToFileURL(script).href}?seed=${seed}`);
}

/** A script that waits for something outside a guest ends in time as well. */
class Limit {
  readonly #timer: NodeJS.Timeout;
  #fail: (error: Error) => void = () => {};
  readonly #over = new Promise<never>((_, reject) => {
    this.#fail = reject;
  });

  constructor(ms: number) {
    this.#over.catch(() => {});
    const late = new DeadlineError('The script did not end within the time that --timeout allows', '');
    this.#timer = setTimeout(() => this.#fail(late), ms);
  }

  keep<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#over]);
  }

  unref(): void {
    this.#timer.unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
