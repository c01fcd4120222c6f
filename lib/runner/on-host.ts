/** Runs a script on this host: in a process of its own, which this one judges. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { DeadlineError } from '../base/errors.ts';
import { hearsTests, testEnvironment } from '../base/hears-tests.ts';
import { removeForsaken } from '../host/ftrace/tracefs.ts';
import type { Transport } from '../node/transport.ts';
import { serveLine } from '../node/transports/line.ts';
import { doing } from '../target/doing.ts';
import { LINE_DESCRIPTOR, startOwn } from '../target/own-process.ts';
import { type InterruptedError, interruption } from '../target/signals.ts';
import { ScriptLostError } from './errors.ts';
import { Judge } from './judge.ts';
import { testFlags } from './node-test.ts';
import { GRACE, PARSED_RUN, type ParsedRun } from './protocol.ts';

/** How long the process of a script may take, in ms, until it begins; and beyond what it allows itself. */
const START = 60_000;
const BEYOND = 2000;

/** Runs a script, made ready, in a process of its own; returns the exit code. */
export async function runOnHost(run: ParsedRun, joined?: Transport): Promise<number> {
  const tests = run.tests && run.options.repeat === 1 && !hearsTests;
  const flags = tests ? testFlags(run.options.json) : [];
  const child = startOwn(
    [PARSED_RUN, JSON.stringify(run)],
    flags,
    tests ? testEnvironment : {},
    'pipe',
    joined !== undefined,
  );
  if (joined) serveLine(child.stdio[LINE_DESCRIPTOR] as Duplex, joined);
  let error: unknown;
  const kill = () => child.kill('SIGKILL');
  let timer = setTimeout(() => {
    error = new ScriptLostError(`it did not begin within ${START / 1000} s`);
    kill();
  }, START);
  let hasBegun = false;
  const judge = new Judge(run, () => {
    if (hasBegun) return;
    hasBegun = true;
    doing('running the script');
    clearTimeout(timer);
    timer = setTimeout(
      () => {
        error = new DeadlineError(spins, '');
        kill();
      },
      run.options.timeout * 1000 + GRACE + BEYOND,
    );
  });
  const interrupt = () => {
    child.kill((interruption.reason as InterruptedError).signal);
    setTimeout(kill, GRACE).unref();
  };
  interruption.addEventListener('abort', interrupt, { once: true });
  if (interruption.aborted) interrupt();
  // All that it wrote, and what processes of its own wrote while it was there. These may outlive it.
  child.stdout!.pipe(judge.output);
  let how = '';
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    how = signal ? `signal ${signal}` : `exit code ${code}`;
  } catch (failed) {
    error ??= failed;
  }
  clearTimeout(timer);
  if (run.options.kernelEvents) removeForsaken();
  if (!judge.output.writableFinished)
    await Promise.race([once(judge.output, 'finish'), new Promise((late) => setTimeout(late, BEYOND).unref())]);
  return judge.end(error, () => new ScriptLostError(how));
}

const spins =
  'The script did not end within the time that --timeout allows, and kept its thread busy: a loop without an `await`, or a ' +
  'call that does not come back';
