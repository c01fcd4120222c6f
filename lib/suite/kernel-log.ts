import { closeSync, constants, openSync, readSync } from 'node:fs';

/** What the kernel says when it is broken; a warning counts where it is KVM's. */
const crashes = [
  /\bBUG: /,
  /\bOops: /,
  /\bkernel BUG at /,
  /\bgeneral protection fault/,
  /\bsoft lockup\b/,
  /\brcu_\w+ (?:self-)?detected stalls?\b/,
  /\bWARNING: .*\bkvm/i,
];
/** How many lines from the first one on are kept. */
const KEPT = 40;
const RECORD = 8192;

/** Reads the kernel's log from now on. */
export class KernelLog {
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(RECORD);

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens the log behind its last record; a sentence that says why it cannot be read here. */
  static open(path = '/dev/kmsg'): KernelLog | string {
    let log: KernelLog;
    try {
      log = new KernelLog(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
      log.#records();
    } catch (error) {
      return `the kernel's log is not watched: ${(error as Error).message}`;
    }
    return log;
  }

  /** If the kernel has said since the last call that it is broken: those lines, the first one first. */
  crash(): string[] | null {
    const lines = this.#records().map(textOf);
    const first = lines.findIndex((line) => crashes.some((pattern) => pattern.test(line)));
    return first < 0 ? null : lines.slice(first, first + KEPT);
  }

  /** Every record that has come since. */
  #records(): string[] {
    const records: string[] = [];
    for (;;) {
      try {
        const length = readSync(this.#fd, this.#buffer, 0, RECORD, null);
        if (length === 0) return records;
        records.push(this.#buffer.toString('utf8', 0, length));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN') return records;
        // Records were overwritten before they were read: the next read finds the oldest one left.
        if (code !== 'EPIPE') throw error;
      }
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** A record is `priority,sequence,time,flags;text`, and lines of properties that begin with a space. */
function textOf(record: string): string {
  const line = record.split('\n', 1)[0]!;
  return line.slice(line.indexOf(';') + 1);
}
