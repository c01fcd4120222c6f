/** For tests that boot a machine of the lab: a script for it, what it writes, and its emulator. */
import { readdirSync, readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import type { LabRunOptions } from '../../lib/lab/index.ts';

/** Keeps what is written to it; `seen` waits until that holds a text. */
export class Sink extends Writable {
  readonly #chunks: Buffer[] = [];
  #waiting: (() => void)[] = [];

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(Buffer.from(chunk));
    for (const check of this.#waiting) check();
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString();
  }

  seen(text: string): Promise<void> {
    return new Promise((resolve) => {
      const check = () => this.text.includes(text) && resolve();
      this.#waiting.push(check);
      check();
    });
  }
}

/** Options that run a shell script in a lane. */
export function script(lane: 'vmx' | 'svm', text: string): LabRunOptions & { stdout: Sink; stderr: Sink } {
  return { lane, program: ['/bin/busybox', 'sh', '-c', text], argv: [], stdout: new Sink(), stderr: new Sink() };
}

/** The emulators that a process started and that are still there. */
export function emulatorsOf(parent: number): number[] {
  return processes()
    .filter(({ name, ppid }) => ppid === parent && /^(bochs|qemu)/.test(name))
    .map(({ pid }) => pid);
}

/** True while a process is there and no zombie. */
export function isRunning(pid: number): boolean {
  return processes().some((process) => process.pid === pid && process.state !== 'Z');
}

function processes(): { pid: number; ppid: number; name: string; state: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
        const [state = '', ppid = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const comm = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
        return [{ pid: Number(name), ppid: Number(ppid), name: comm, state }];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}
