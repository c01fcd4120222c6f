/** A script's runs in this process. */

import { pathToFileURL } from 'node:url';
import { profileByName } from '../abi/dsm/profiles.ts';
import { RunBudget } from '../base/budget.ts';
import { Deadline } from '../base/deadline.ts';
import { DeadlineError } from '../base/errors.ts';
import { isForwardedIcrWrite } from '../exit/dsm.ts';
import { Random, randomWasUsed } from '../script/random.ts';
import { type ObservedMachine, type Observer, Session } from '../script/session.ts';
import { isExit } from '../trace/event.ts';
import { loadModules, type PublicModules } from './bundle/public-modules.ts';
import { importModule } from './evaluate/import-module.ts';
import { ScriptFunction } from './evaluate/script-function.ts';
import { findingsOf } from './findings.ts';
import { explainMissingFile } from './lab-files.ts';
import { TestFeed } from './node-test.ts';
import { failureOf } from './outcome.ts';
import type { ParsedRun, ScriptFailure, ScriptOutcome } from './protocol.ts';
import { repeatRuns } from './repeat.ts';
import { type ScriptReporter, scriptReporter } from './report.ts';

/** How long a script may go on, in ms, after the time for guests is over: for its own reports. */
const GRACE = 2000;

/** Does a script's runs in this process; returns the exit code. */
export function runInProcess(run: ParsedRun, code: string | undefined, modules: PublicModules): Promise<number> {
  const reporter = scriptReporter(run);
  const runOnce = prepare(run, code, modules, reporter);
  reporter.start();
  return repeatRuns(run, reporter, runOnce);
}

/** Does one run for the process that has started this one, and tells it what came of it; returns the exit code. */
export async function runAsPart(run: ParsedRun, code: string | undefined, modules: PublicModules): Promise<number> {
  const reporter = scriptReporter(run);
  const outcome = await prepare(run, code, modules, reporter)(run.options.seed!);
  reporter.ran(outcome, 1);
  await new Promise((sent) => process.send!(outcome, sent));
  return outcome.failure?.exitCode ?? 0;
}

/** What each run begins with anew: the script's modules, its random choices and its machines. */
function prepare(
  run: ParsedRun,
  code: string | undefined,
  modules: PublicModules,
  reporter: ScriptReporter,
): (seed: number) => Promise<ScriptOutcome> {
  const { script, imports, args, options, tests } = run;
  const body = code === undefined ? undefined : new ScriptFunction(code, script);
  const ends = performance.now() + options.timeout * 1000;
  const budget = new RunBudget(options.timeout * 1000);
  const profile = profileByName(options.profile);
  return async (seed) => {
    const machines: ObservedMachine[] = [];
    let exits = 0;
    let forwarded = 0;
    const observer: Observer = {
      machine: (machine) => machines.push(machine),
      event: (event) => {
        if (isExit(event)) {
          exits += 1;
          if (isForwardedIcrWrite(event.exit)) forwarded += 1;
        }
        reporter.event(event);
      },
    };
    const random = new Random(seed);
    const session = new Session({ device: options.device, profile, observer, budget, random });
    // One script at a time: what it does outside of its own context is its own as well.
    session.makeDefault();
    process.argv = [process.execPath, script, ...args];
    const judge = (error: unknown, before?: string): ScriptFailure => {
      const found = findingsOf(session, machines, error);
      for (const finding of found) reporter.finding(finding);
      return failureOf(error, found, before);
    };
    let failure: ScriptFailure | undefined;
    const limit = new Deadline(ends + GRACE - performance.now(), lateScript);
    try {
      const feed = tests ? new TestFeed() : undefined;
      await limit.keep(
        session.run(async () => (body ? body.run(await loadModules(modules, imports)) : importAfresh(script, seed))),
      );
      // The tests begin to end when nothing else keeps the process busy.
      limit.unref();
      const failed = await (feed && limit.keep(feed.ended()));
      if (failed) failure = judge(failed.error, `${failed.count} of the tests failed, first "${failed.name}": `);
      else for (const finding of findingsOf(session, machines, undefined)) reporter.finding(finding);
    } catch (thrown) {
      failure = judge(explainMissingFile(thrown));
    } finally {
      limit.clear();
      for (const machine of machines) machine.close();
    }
    return { exits, forwarded, seed, seeded: randomWasUsed(random), ...(failure ? { failure } : {}) };
  };
}

function importAfresh(script: string, seed: number): Promise<unknown> {
  return importModule(`${pathToFileURL(script).href}?seed=${seed}`);
}

/** A script that waits for something outside a guest ends in time as well. */
const lateScript = () => new DeadlineError('The script did not end within the time that --timeout allows', '');
