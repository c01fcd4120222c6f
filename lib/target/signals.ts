/** Ctrl-C and its like: the first one ends the command's work in order, the second ends the process at once. */
import { constants } from 'node:os';
import { KvmDsmError } from '../base/errors.ts';
import { removeTemporaryFolders } from '../base/temporary.ts';
import { whatIsDone } from './doing.ts';
import { wipeProgress } from './progress.ts';

/** A signal ended the command. */
export class InterruptedError extends KvmDsmError {
  readonly code = 'ERR_INTERRUPTED';
  override readonly exitCode: number;
  readonly signal: NodeJS.Signals;
  /** What the command was at. */
  readonly during: string;

  constructor(signal: NodeJS.Signals, during: string, advice = 'Run it again.') {
    super(`interrupted by ${signal} while ${during}`, { advice });
    this.signal = signal;
    this.during = during;
    this.exitCode = 128 + constants.signals[signal];
  }
}

const deadly: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** What comes sooner, in ms, is the same one: npm and timeout pass on what the terminal has sent to everybody already. */
const SAME = 500;
/** Work that takes so long to end, in ms, is told of. */
const SLOW = 1000;

const abort = new AbortController();

/** Aborted by the first signal, for an InterruptedError. */
export const interruption: AbortSignal = abort.signal;

/** What ends in order by that. */
let orderly = 0;

/**
 * From now on a signal does not simply end this process: what ends in order is told, and ends; where nothing does, the word is
 * told and that is the end.
 */
export function catchSignals(tell: (error: InterruptedError) => void): void {
  let came = 0;
  const caught = (name: NodeJS.Signals) => {
    if (interruption.aborted) {
      if (performance.now() - came > SAME) endAtOnce((interruption.reason as InterruptedError).exitCode);
      return;
    }
    came = performance.now();
    const error = new InterruptedError(name, whatIsDone());
    abort.abort(error);
    if (orderly > 0) {
      const patience = () => {
        wipeProgress();
        process.stderr.write(`${error.message}: it ends; the same again ends it at once\n`);
      };
      setTimeout(patience, SLOW).unref();
      return;
    }
    tell(error);
    endAtOnce(error.exitCode);
  };
  for (const name of deadly) process.on(name, caught);
}

/** Emulators, workers and scripts have bound themselves to this process, and end with it. */
function endAtOnce(exitCode: number): never {
  wipeProgress();
  removeTemporaryFolders();
  process.exit(exitCode);
}

/** Does what ends in order when a signal comes; what it fails with then is the signal's doing, and told as such. */
export async function withSignals<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  orderly += 1;
  try {
    return await work(interruption);
  } catch (error) {
    throw await orInterruption(error);
  } finally {
    orderly -= 1;
  }
}

/** What an error says of a program that a terminal's signal has ended; QEMU has words of its own for it. */
const byTerminal = /\bSIG(?:INT|TERM|HUP)\b|\bterminating on signal\b/;
/** How long, in ms, such a signal may be on its way to this process when the program has had it. */
const ON_ITS_WAY = 500;

/**
 * The error, or that a signal has come, which some command may have said in words of its own already. One that came while this thread was held up, and ended a program that it waited for, is
 * heard in the event loop's next turn; on a busy machine later.
 */
export async function orInterruption(error: unknown): Promise<unknown> {
  // The first turn may have looked for news already.
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  if (!interruption.aborted && error instanceof Error && byTerminal.test(error.message)) await soon(interruption);
  return interruption.aborted && !(error instanceof InterruptedError) ? interruption.reason : error;
}

function soon(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ON_ITS_WAY);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
