/** Runs of a script in a process each, which scripts with tests need. */

import { testEnvironment } from '../base/hears-tests.ts';
import { startOwn } from '../target/own-process.ts';
import { testFlags } from './node-test.ts';
import { PARSED_RUN, type ParsedRun, type ScriptOutcome } from './protocol.ts';
import { repeatRuns } from './repeat.ts';
import { scriptReporter } from './report.ts';

/** Does a script's runs, each in a process of its own; returns the exit code. */
export function runInOwnProcesses(run: ParsedRun): Promise<number> {
  const reporter = scriptReporter(run);
  const ends = performance.now() + run.options.timeout * 1000;
  reporter.start();
  return repeatRuns(run, reporter, (seed) => runOne(run, seed, (ends - performance.now()) / 1000));
}

function runOne(run: ParsedRun, seed: number, secondsLeft: number): Promise<ScriptOutcome> {
  const timeout = Math.max(0.001, secondsLeft);
  const part: ParsedRun = { ...run, ownProcess: true, options: { ...run.options, seed, timeout } };
  const child = startOwn([PARSED_RUN, JSON.stringify(part)], testFlags(run.options.json), testEnvironment);
  let outcome: ScriptOutcome | undefined;
  child.on('message', (message) => {
    outcome = message as ScriptOutcome;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      const text = `The process of the script ended by itself: ${signal ? `signal ${signal}` : `exit code ${code}`}`;
      const failure = { text, json: { code: 'ERR_SCRIPT', message: text }, exitCode: 1 };
      resolve(outcome ?? { exits: 0, forwarded: 0, seed, seeded: true, failure });
    });
  });
}
