/** The screen that an emulator shows on a pseudo-terminal, which somebody has to read. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { spawnBound } from '../process.ts';

/**
 * Reads what an emulator shows on a pseudo-terminal that it has opened, and drops it. A Bochs with its debugger built in
 * shows its screen there, for a person to look at: a line per second, until the terminal holds no more, and from then on
 * the machine stands still. The reading ends with the emulator, or by closing.
 */
export function dropScreen(pid: number): { close(): void } {
  const readers = terminalsOf(pid).flatMap((path) => readerOf(path) ?? []);
  return {
    close() {
      for (const reader of readers) reader.kill('SIGKILL');
    },
  };
}

/** A process of its own: what Node.js offers for terminals leaves a file open, or a thread that waits. */
function readerOf(path: string): ChildProcess | null {
  let terminal: number;
  try {
    terminal = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  } catch {
    return null; // the emulator has just ended
  }
  try {
    // Without raw mode it would keep all that has no end of line, and take some bytes for commands.
    const reader = spawnBound('sh', ['-c', 'stty raw -echo && exec cat'], { stdio: [terminal, 'ignore', 'ignore'] });
    reader.on('error', () => {});
    reader.unref();
    return reader;
  } finally {
    closeSync(terminal);
  }
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
