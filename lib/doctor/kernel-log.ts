/** Whether the kernel has reported since its boot that it is broken. */
import { readFileSync } from 'node:fs';
import { KernelLog, type LoggedReport } from '../host/kernel-log.ts';
import { laneHere } from '../host/lane.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';

const ADVICE =
  'Find the cause, and boot the kernel again: it is not sound any more, and what a script finds may come from that.';

/** What a kernel's taint tells of reports, by bit. Source: Documentation/admin-guide/tainted-kernels.rst. */
const taints = [
  [5, 'a corrupt page'],
  [7, 'an oops or a BUG()'],
  [9, 'a WARN()'],
  [14, 'a CPU that does not schedule'],
] as const;

/** Looks at the kernel's log, or where it cannot be read at what has tainted the kernel. */
export function checkKernelLog(path?: string, tainted = '/proc/sys/kernel/tainted'): HealthCheck {
  const log = KernelLog.fromStart(path);
  if (typeof log === 'string') return unreadable(log, tainted);
  try {
    const reports = log.reports().filter((report) => !isKnown(report));
    const first = reports[0];
    if (!first) return healthCheck('kernel.log', 'ok', "The kernel's log tells of nothing broken");
    const count = reports.length > 1 ? `, the first of ${reports.length} reports` : '';
    return healthCheck('kernel.log', 'warn', `The kernel's log has ${first.kind.what}${count}: ${first.line}`, ADVICE);
  } catch (error) {
    return unreadable(`the kernel's log is not watched: ${(error as Error).message}`, tainted);
  } finally {
    log.close();
  }
}

/** A lane's emulator is strange to every kernel in the same way. */
function isKnown({ line }: LoggedReport): boolean {
  const known = laneHere?.quirks.bootReport ?? null;
  return known !== null && line.includes(known);
}

function unreadable(why: string, tainted: string): HealthCheck {
  const found = taints.filter(([bit]) => (readTaint(tainted) >> BigInt(bit)) & 1n).map(([, what]) => what);
  if (found.length === 0) return healthCheck('kernel.log', 'note', `Here ${why}`);
  return healthCheck('kernel.log', 'warn', `The kernel is tainted by ${found.join(', ')} (${why})`, ADVICE);
}

function readTaint(path: string): bigint {
  try {
    return BigInt(readFileSync(path, 'ascii').trim());
  } catch {
    return 0n;
  }
}
