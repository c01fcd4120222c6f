import { startOwn } from '../target/own-process.ts';
import type { RunOutcome } from './outcome.ts';
import { PARSED_RUN, type ParsedRun } from './parsed-run.ts';
import { repeat } from './repeat.ts';
import { runReporter } from './report.ts';
import { testEnvironment, testFlags } from './tests.ts';

/** Does a script's runs, each in a process of its own; returns the exit code. */
export function runsApart(run: ParsedRun): Promise<number> {
  const reporter = runReporter(run);
  const ends = performance.now() + run.options.timeout * 1000;
  reporter.start();
  return repeat(run, reporter, (seed) => runApart(run, seed, (ends - performance.now()) / 1000));
}

function runApart(run: ParsedRun, seed: number, secondsLeft: number): Promise<RunOutcome> {
  const timeout = Math.max(0.001, secondsLeft);
  const part: ParsedRun = { ...run, part: true, options: { ...run.options, seed, timeout } };
  const child = startOwn([PARSED_RUN, JSON.stringify(part)], testFlags(run.options.json), testEnvironment);
  let outcome: RunOutcome | undefined;
  child.on('message', (message) => {
    outcome = message as RunOutcome;
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
