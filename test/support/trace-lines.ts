/** Lines of a trace file as a run writes them, of runs that never were. */
import type { JsonValue } from '../../lib/base/json.ts';
import { readTrace, type TraceRecord } from '../../lib/picture/file/read.ts';
import {
  endLine,
  eventLine,
  failureLine,
  headLine,
  machineLine,
  stateLine,
  type TraceLine,
} from '../../lib/picture/file/records.ts';
import { type PreparedRun, preparedRuns, preparedTarget } from './pictures.ts';

export const head = { package: '0.1.0', kernel: '6.12.0', profile: 'rfc-v2', on: 'svm' };

/** A file of machines, one after the other. */
export function traceLines(...runs: PreparedRun[]): TraceLine[] {
  return [
    headLine(head),
    ...runs.flatMap(({ events, targets }, index) => {
      const fresh = targets.map(({ apic }) => preparedTarget(apic.vcpu));
      const machine = index + 1;
      return [
        machineLine(machine, 1, { born: 5_000_000n + BigInt(index), irqchip: 'full', targets: fresh }),
        ...events.map((event) => eventLine(machine, event)),
        stateLine(machine, events.length, targets),
      ];
    }),
    failureLine({ code: 'ERR_NOT_RECEIVED', message: 'lost\nin text', trace: [] }),
    endLine(false, 1),
  ];
}

/** All the prepared failures in one file. */
export const allPrepared = () => traceLines(...Object.values(preparedRuns).map((prepare) => prepare()));

export const asText = (lines: readonly (TraceLine | Record<string, JsonValue>)[]) =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('');

/** In pieces of so many characters. */
export async function* inPieces(text: string, size = 777): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}

export async function recordsOf(text: string): Promise<TraceRecord[]> {
  const records: TraceRecord[] = [];
  for await (const record of readTrace(inPieces(text))) records.push(record);
  return records;
}
