/** Standard output: whole or an error, in order, and cheap inside the lab. */
import { fstatSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { EnvironmentError } from '../base/errors.ts';
import { laneHere } from '../host/lane.ts';

/** What the command had to say did not arrive whole: its disk is full, say. */
export class OutputError extends EnvironmentError {
  readonly code = 'ERR_OUTPUT';

  constructor(cause: Error) {
    super(`The output could not be written: ${cause.message}`, {
      cause,
      advice: 'What has arrived is not the whole: make room there, or send the output elsewhere, and do it again.',
    });
  }
}

/** The first write that failed. */
let failure: OutputError | undefined;
/** Nobody reads any more: what is still to come is dropped. */
let isReaderGone = false;

function failed(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') isReaderGone = true;
  else failure ??= new OutputError(error);
}

/**
 * Writes text, or bytes, to standard output. Does not throw: what becomes of the command when a write fails is decided at
 * its end, by `exitCodeWithOutput`.
 *
 * Node's stream for a file takes a write that was cut short for a whole one: a file is written to without it. Inside a lab
 * machine the output is a pipe, and node's stream for it takes a twentieth of all instructions of a short run to make. As
 * long as nobody else has asked for the stream, the text goes to the pipe without it; from then on all goes through the
 * stream, so that the order stays.
 */
export function print(text: string | Uint8Array): void {
  if (isReaderGone || failure) return;
  onPrint?.(text);
  const kind = outputKind();
  if (isEnding) writeNow(typeof text === 'string' ? Buffer.from(text) : text);
  else if (kind === 'file' || (kind === 'pipe' && laneHere !== null && !isStreamMade))
    writeAll(typeof text === 'string' ? Buffer.from(text) : text);
  else process.stdout.write(text);
}

let onPrint: ((text: string | Uint8Array) => void) | null = null;

/** Is called with what is about to be printed; one at a time. */
export function beforePrinting(listener: ((text: string | Uint8Array) => void) | null): void {
  onPrint = listener;
}

let isEnding = false;

/** The process is about to end, and no stream gets another turn: what is printed from now on is written at once. */
export function printAtOnce(): void {
  isEnding = true;
}

/** Standard output for who wants a stream. It never fails; see `print`. */
export function printingStream(): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      print(chunk);
      done();
    },
  });
}

/** From now on a reader that goes away is no error: what it did not want to read is dropped, and the exit code stays true. */
export function letReadersGo(): void {
  process.stdout.on('error', failed);
  process.stderr.on('error', failed);
}

/** Resolves when all that was written has been taken: a process that ends sooner keeps what a full pipe did not take. */
export async function outputSent(): Promise<void> {
  if (laneHere === null || isStreamMade) await sent(process.stdout);
  await sent(process.stderr);
}

/** What the command ends with, now that its output is out or lost. To be asked after `outputSent`. */
export function exitCodeWithOutput(code: number): number {
  if (!failure) return code;
  process.stderr.write(`error: ${failure.message} [${failure.code}]\n  -> ${failure.advice}\n`);
  return failure.exitCode;
}

function sent(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once('close', resolve);
    stream.write('', () => resolve());
  });
}

/** True if standard output is a person's terminal. */
export function isTerminal(): boolean {
  return outputKind() === 'other' && process.stdout.isTTY;
}

/** A signal may cut a write short; a pipe that another process has set to O_NONBLOCK may be full: the stream can wait. */
function writeAll(bytes: Uint8Array): void {
  let at = 0;
  try {
    while (at < bytes.length) at += writeSync(1, bytes, at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') process.stdout.write(bytes.subarray(at));
    else failed(error as NodeJS.ErrnoException);
  }
}

/** As `writeAll`, and waits for a full pipe itself. */
function writeNow(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') {
        failed(error as NodeJS.ErrnoException);
        return;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

let known: 'file' | 'pipe' | 'other' | undefined;

function outputKind(): 'file' | 'pipe' | 'other' {
  if (known === undefined) {
    const stat = fstatSync(1);
    const isFile = stat.isFile() || stat.isBlockDevice() || (stat.isCharacterDevice() && !isatty(1));
    known = isFile ? 'file' : stat.isFIFO() ? 'pipe' : 'other';
  }
  return known;
}

/** Node makes the stream, and sets the pipe to O_NONBLOCK, when `process.stdout` is read for the first time. */
let isStreamMade = false;
const made = Object.getOwnPropertyDescriptor(process, 'stdout');
if (laneHere !== null && made?.get) {
  const get = made.get;
  Object.defineProperty(process, 'stdout', {
    ...made,
    get() {
      isStreamMade = true;
      return get.call(process);
    },
  });
}
