/** The kernel's log while something runs: does it tell that the kernel is broken? */
import { closeSync, constants, openSync } from 'node:fs';
import { KvmDsmError } from '../base/errors.ts';
import { printable } from '../base/text.ts';
import { type KernelReport, kernelReportIn } from './kernel-reports.ts';
import { isKernelRecord, readRecords, recordSequence, recordText } from './kmsg.ts';

/** How many lines from the first one on are kept. */
const KEPT = 40;

/** A report, and what the kernel said from there on. */
export interface LoggedReport extends KernelReport {
  /** The report's first line, and up to 39 after it. */
  lines: string[];
}

/** The kernel's log, read from one point on. */
export class KernelLog {
  readonly #fd: number;
  /** The number of the record that comes next; NaN as long as none has been seen. */
  #next = Number.NaN;
  #lost = 0;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens the log behind its last record; a sentence that says why it cannot be read here. */
  static open(path = '/dev/kmsg'): KernelLog | string {
    const log = KernelLog.fromStart(path);
    if (typeof log === 'string') return log;
    try {
      log.lines();
    } catch (error) {
      log.close();
      return notWatched(error);
    }
    log.#lost = 0;
    return log;
  }

  /** Opens the log at its oldest record, which is the boot's first unless the log has run over. */
  static fromStart(path = '/dev/kmsg'): KernelLog | string {
    try {
      return new KernelLog(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
    } catch (error) {
      return notWatched(error);
    }
  }

  /** If the kernel has said since the last call that it is broken: the first report of that time. */
  report(): LoggedReport | null {
    return this.reports()[0] ?? null;
  }

  /** All reports since the last call. */
  reports(): LoggedReport[] {
    return reportsIn(this.lines());
  }

  /** How many records were overwritten before they were read, since the last call. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The kernel's own lines since the last call. */
  lines(): string[] {
    const records = readRecords(this.#fd);
    for (const record of records) {
      const sequence = recordSequence(record);
      if (sequence > this.#next) this.#lost += sequence - this.#next;
      this.#next = sequence + 1;
    }
    return records.filter(isKernelRecord).flatMap((record) => recordText(record).split('\n').map(printable));
  }
}

/** The reports among messages of the kernel's: one may have several lines that would each begin one. */
function reportsIn(messages: readonly string[]): LoggedReport[] {
  return messages.flatMap((message, at) => {
    const report = kernelReportIn(message);
    return report ? [{ ...report, lines: messages.slice(at, at + KEPT) }] : [];
  });
}

function notWatched(error: unknown): string {
  return `the kernel's log is not watched: ${(error as Error).message}`;
}

/** What is told where records were lost. */
export function lostRecords(count: number): string {
  return `${count} records of the kernel's log were overwritten before they were read: what they said is not known`;
}

/** The kernel reported that it is broken while something ran, whatever came of that itself. */
export class KernelReportError extends KvmDsmError {
  readonly code = 'ERR_KERNEL_REPORT';
  override readonly exitCode = 1;
  /** The name of the report's kind. */
  readonly kind: string;
  /** The report's lines, the first one first. */
  readonly log: readonly string[];

  /** @param when such as `while the script ran` */
  constructor({ kind, lines }: LoggedReport, when: string) {
    super(
      [`the kernel reported ${kind.what} ${when}: ${lines[0]}`, ...lines.slice(1).map((line) => `  | ${line}`)].join(
        '\n',
      ),
      {
        advice:
          'Find the cause in the kernel, boot it again, and run this again: a kernel that has reported is not sound any ' +
          'more. On a machine that others use it may be about their work.',
      },
    );
    this.kind = kind.id;
    this.log = lines;
  }
}
