/** Where the bytes of a machine's serial lines go. */
import type { Duplex } from 'node:stream';
import type { OutputStream } from '../../base/node-shapes.ts';

/** How long the begin of a line of text is kept for its end, in ms since its last byte. */
const HOLD = 100;
/** It is kept up to so many bytes. */
const MOST_HELD = 8192;
const NEWLINE = 10;

/**
 * Passes on what comes by a serial line, and tells when bytes `came` and when the reader of `output` has `gone`.
 *
 * @param whole passes on lines of text as a whole, where they have an end soon: standard output and standard error come byte by
 *   byte by lines of their own, and on one terminal, or in one file, they would stand within one another
 */
export function passOn(
  socket: Duplex,
  output: OutputStream,
  reading: { came(): void; gone(): void },
  whole: boolean,
): void {
  // Nobody reads any more: what is still to come has no use, and waiting for room would never end.
  let isGone = false;
  let held: Buffer = Buffer.alloc(0);
  let timer: NodeJS.Timeout | undefined;
  const write = (bytes: Buffer) => {
    clearTimeout(timer);
    held = Buffer.alloc(0);
    // Never paused: a slow reader must not hold up the machine, whose silence would then look like a freeze. No emulated
    // machine writes more than memory can hold until the reader has taken it.
    if (!isGone && bytes.length > 0) output.write(bytes);
  };
  const gone = () => {
    isGone = true;
    reading.gone();
    socket.resume();
  };
  output.once('error', gone);
  output.once('close', gone);
  socket.once('close', () => {
    write(held);
    output.off('error', gone);
    output.off('close', gone);
  });
  socket.on('data', (bytes: Buffer) => {
    reading.came();
    if (!whole) return write(bytes);
    const all = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    const end = all.length > MOST_HELD ? all.length : all.lastIndexOf(NEWLINE) + 1;
    write(all.subarray(0, end));
    if (end === all.length) return;
    held = all.subarray(end);
    timer = setTimeout(() => write(held), HOLD);
  });
}

/** Resolves when all that was written has been taken, or nobody takes it. */
export function flushed(output: OutputStream): Promise<void> {
  return new Promise((resolve) => {
    if (output.writable) output.write('', () => resolve());
    else resolve();
  });
}
