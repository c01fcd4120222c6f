/** What a process that runs checks tells, read with care: checks run in it, and may write there as well. */
import type { TraceLine } from '../../picture/file/records.ts';
import type { Facts } from './facts.ts';
import { isProbeName } from './probes.ts';
import type { FailureKind, KernelTold, Outcome, WorkerEvent } from './protocol.ts';

const kinds: readonly string[] = [
  'claim',
  'deadline',
  'crash',
  'oops',
  'nothing',
  'error',
  'not-run',
] satisfies FailureKind[];

/** A line as an event; `null` if it is none. */
export function readWorkerEvent(line: string): WorkerEvent | null {
  const event = readObject(line);
  switch (event?.type) {
    case 'probe':
      return isProbeName(event.name) ? { type: 'probe', name: event.name } : null;
    case 'facts':
      return isObject(event.facts) ? { type: 'facts', facts: event.facts as unknown as Facts } : null;
    case 'start':
      return isCount(event.n) ? { type: 'start', n: event.n } : null;
    case 'outcome':
      return readOutcomeEvent(event);
    case 'retire':
      return { type: 'retire' };
    default:
      return null;
  }
}

/** The event of a check that has ended; `null` if it is none. */
export function readOutcomeEvent(event: Record<string, unknown>): (WorkerEvent & { type: 'outcome' }) | null {
  const { n, outcome, ms, exits, seen } = event;
  if (!(isCount(n) && isCount(ms) && isCount(exits) && isObject(outcome))) return null;
  const told = readOutcome(outcome);
  if (seen !== undefined && !isSeen(seen)) return null;
  return told && { type: 'outcome', n, outcome: told, ms, exits, ...(seen === undefined ? {} : { seen }) };
}

function isSeen(value: unknown): value is KernelTold {
  if (!isObject(value)) return false;
  const { met = [], counters = {} } = value;
  if (!(Array.isArray(met) && met.every(isCount) && isObject(counters))) return false;
  return Object.values(counters).every((bytes) => typeof bytes === 'string');
}

function readOutcome({ kind, cause, reason, detail, trace }: Record<string, unknown>): Outcome | null {
  if (kind === 'pass') return { kind };
  if (typeof reason !== 'string') return null;
  if (kind === 'skip') return { kind, reason };
  if (kind !== 'fail' || typeof detail !== 'string' || typeof cause !== 'string' || !kinds.includes(cause)) return null;
  const failed: Outcome = { kind, cause: cause as FailureKind, reason, detail };
  if (trace === undefined) return failed;
  return isTrace(trace) ? { ...failed, trace } : null;
}

function isTrace(value: unknown): value is TraceLine[] {
  return Array.isArray(value) && value.every((line) => isObject(line) && typeof line.type === 'string');
}

/** A line of JSON that holds an object; `null` otherwise. */
export function readObject(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
