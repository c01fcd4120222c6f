/** What the kernel logged while a machine ran. */
import { closeSync, constants, openSync } from 'node:fs';
import { printable } from '../../base/text.ts';
import { kernelReportIn } from '../../host/kernel-reports.ts';
import { isKernelRecord, readRecords, recordMicroseconds, recordText } from '../../host/kmsg.ts';

/** At least so much, in ns, is looked at before and after: the log has a clock of its own. */
const SLACK = 100_000_000n;
/** That clock is not corrected as CLOCK_MONOTONIC is: they drift apart with the uptime, by up to one part in so many. */
const DRIFT = 20_000n;
const SHOWN = 6;
/** How much is shown of a report, from its first line on. */
const SHOWN_OF_REPORT = 20;
/** What a lab machine writes there itself. */
const LAB = '@kvm-dsm';

/**
 * What the kernel logged between two points of CLOCK_MONOTONIC in ns, about: the last lines, or those of a report that
 * the kernel is broken. A sentence where the log cannot be read.
 */
export function kernelLog(from: bigint, to: bigint, path = '/dev/kmsg'): string[] | string {
  const slack = SLACK + to / DRIFT;
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const records = readRecords(fd).filter((record) => {
        if (recordText(record).startsWith(LAB)) return false;
        const ns = BigInt(recordMicroseconds(record) || 0) * 1000n;
        return ns >= from - slack && ns <= to + slack;
      });
      const report = records.findIndex(
        (record) => isKernelRecord(record) && kernelReportIn(recordText(record)) !== null,
      );
      const shown = report < 0 ? records.slice(-SHOWN) : records.slice(report, report + SHOWN_OF_REPORT);
      return shown.map(
        (record) => `[${(recordMicroseconds(record) / 1e6).toFixed(6)}] ${printable(recordText(record))}`,
      );
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return `cannot be read here: ${(error as Error).message}`;
  }
}

export function describeKernelLog(log: readonly string[] | string): string[] {
  if (typeof log === 'string') return [`kernel log: ${log}`];
  if (log.length === 0) return ['kernel log: nothing of that time'];
  return ['kernel log of about that time:', ...log.map((line) => `  ${line}`)];
}
