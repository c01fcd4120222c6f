/** Standard output: whole, in order, and cheap inside the lab. */
import { fstatSync, writeSync } from 'node:fs';
import { laneHere } from '../host/lane.ts';

/**
 * Writes text to standard output.
 *
 * Inside a lab machine that is a pipe, and node's stream for it takes a twentieth of all instructions of a short run to
 * make. As long as nobody else has asked for the stream, the text goes to the pipe without it; from then on all goes
 * through the stream, so that the order stays.
 */
export function print(text: string): void {
  if (laneHere === null || isStreamMade || !isPipe()) process.stdout.write(text);
  else writeAll(Buffer.from(text));
}

/** From now on a reader that goes away is no error: what it did not want to read is dropped, and the exit code stays true. */
export function letReadersGo(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
}

/** Resolves when all that was written has been taken: a process that ends sooner keeps what a full pipe did not take. */
export async function outputSent(): Promise<void> {
  if (laneHere === null || isStreamMade) await sent(process.stdout);
  await sent(process.stderr);
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
  return !isPipe() && process.stdout.isTTY;
}

/** A signal may cut a write short; a pipe that another process has set to O_NONBLOCK may be full: the stream can wait. */
function writeAll(bytes: Uint8Array): void {
  let at = 0;
  try {
    while (at < bytes.length) at += writeSync(1, bytes, at);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    process.stdout.write(bytes.subarray(at));
  }
}

let known: boolean | undefined;

function isPipe(): boolean {
  known ??= fstatSync(1).isFIFO();
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
