import { constants, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { ReadStream } from 'node:tty';

/**
 * Reads what an emulator shows on a pseudo-terminal that it has opened, and drops it. A Bochs with its debugger built in
 * shows its screen there, for a person to look at: a line per second, until the terminal holds no more, and from then on
 * the machine stands still. Closing ends the reading; nothing is left open if the emulator has no such terminal.
 */
export function dropScreen(pid: number): { close(): void } {
  const streams = terminalsOf(pid).flatMap((path) => {
    try {
      const stream = new ReadStream(openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK));
      // Without raw mode a terminal keeps all that has no end of line.
      stream.setRawMode(true);
      stream.on('error', () => stream.destroy()); // the emulator has ended
      stream.resume();
      stream.unref();
      return [stream];
    } catch {
      return []; // it has just ended
    }
  });
  return { close: () => streams.forEach((stream) => void stream.destroy()) };
}

/** The other ends of the pseudo-terminals that a process has opened. Source: Documentation/filesystems/proc.rst. */
function terminalsOf(pid: number): string[] {
  const dir = `/proc/${pid}`;
  try {
    return readdirSync(`${dir}/fd`).flatMap((fd) => {
      if (!/^\/dev\/(pts\/)?ptmx$/.test(readlinkSync(`${dir}/fd/${fd}`))) return [];
      const index = /^tty-index:\s*(\d+)$/m.exec(readFileSync(`${dir}/fdinfo/${fd}`, 'ascii'))?.[1];
      return index === undefined ? [] : [`/dev/pts/${index}`];
    });
  } catch {
    return [];
  }
}
