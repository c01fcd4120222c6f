/** The kernel's log while a check runs: does it tell of a crash? */
import { closeSync, constants, openSync } from 'node:fs';
import { readRecords, recordText } from '../../host/kmsg.ts';

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

/** Reads the kernel's log from now on. */
export class KernelLog {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens the log behind its last record; a sentence that says why it cannot be read here. */
  static open(path = '/dev/kmsg'): KernelLog | string {
    let log: KernelLog;
    try {
      log = new KernelLog(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
      readRecords(log.#fd);
    } catch (error) {
      return `the kernel's log is not watched: ${(error as Error).message}`;
    }
    return log;
  }

  /** If the kernel has said since the last call that it is broken: those lines, the first one first. */
  crash(): string[] | null {
    const lines = readRecords(this.#fd).map(recordText);
    const first = lines.findIndex((line) => crashes.some((pattern) => pattern.test(line)));
    return first < 0 ? null : lines.slice(first, first + KEPT);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
