/** Reads trace files, line by line: a file may be longer than what memory holds. */
import { KvmDsmError } from '../../base/errors.ts';
import type { JsonValue } from '../../base/json.ts';
import { show } from '../../base/text.ts';
import { nodeIpiFromJson } from '../../node/crossing-words.ts';
import type { NodeIpi } from '../../node/crossings.ts';
import type { TraceEvent } from '../../trace/event.ts';
import { eventFromJson } from '../../trace/json.ts';
import { type KernelEvent, type KernelLoss, kernelEventFromJson } from '../../trace/kernel-event.ts';
import type { DeliveryTarget } from '../target.ts';
import { TRACE_VERSION, type TracedCode, type TraceHead, type TraceLine, targetFromJson } from './records.ts';

/** The file is no trace, one of another version, or one of its lines is not as it was written. */
export class TraceFormatError extends KvmDsmError {
  readonly code = 'ERR_TRACE_FORMAT';
  /** From 1. */
  readonly line: number;

  constructor(line: number, what: string, advice = 'Give a file that `kvm-dsm run --trace` has written.') {
    super(`line ${line}: ${what}`, { advice });
    this.line = line;
  }
}

/** A line, read. What a later version of the package may add, of a type that is not known, is left out. */
export type TraceRecord =
  | { readonly type: 'trace'; readonly head: TraceHead }
  | {
      readonly type: 'machine';
      readonly machine: number;
      readonly run: number;
      readonly born: bigint;
      readonly targets: readonly DeliveryTarget[];
    }
  | { readonly type: 'event'; readonly machine: number; readonly event: TraceEvent }
  | { readonly type: 'node-ipi'; readonly machine: number; readonly ipi: NodeIpi }
  | { readonly type: 'state'; readonly machine: number; readonly targets: readonly DeliveryTarget[] }
  | { readonly type: 'code'; readonly machine: number; readonly code: TracedCode }
  | { readonly type: 'kernel'; readonly kernel: KernelEvent }
  | { readonly type: 'kernel-lost'; readonly loss: KernelLoss }
  | { readonly type: 'failure'; readonly error: Readonly<Record<string, JsonValue>> }
  | { readonly type: 'end'; readonly ok: boolean }
  /** The file ends in the midst of a line, or without `end`: what wrote it was cut off. */
  | { readonly type: 'cut'; readonly line: number };

/** @throws TraceFormatError */
export async function* readTrace(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<TraceRecord> {
  let line = 0;
  let ended = false;
  const machines = new Set<number>();
  for await (const { text, isWhole } of linesOf(chunks)) {
    line += 1;
    if (text === '' && isWhole) continue;
    const json = parsed(text);
    // A last line that was cut off is none.
    if (json === undefined && !isWhole) break;
    if (line === 1) checkHead(json);
    if (!json) throw new TraceFormatError(line, 'no line of JSON');
    const record = recordOf(json, line);
    if (!record) continue;
    known(record, machines, line);
    ended ||= record.type === 'end';
    yield record;
  }
  if (line === 0) throw new TraceFormatError(1, 'the file is empty');
  if (!ended) yield { type: 'cut', line };
}

/** What happens to a machine stands behind its own line. */
function known(record: TraceRecord, machines: Set<number>, line: number): void {
  if (record.type === 'machine') machines.add(record.machine);
  else if ('machine' in record && !machines.has(record.machine))
    throw new TraceFormatError(line, `no line before it has made machine ${show(record.machine)}`);
}

async function* linesOf(
  chunks: AsyncIterable<Uint8Array | string>,
): AsyncGenerator<{ text: string; isWhole: boolean }> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    const parts = `${rest}${typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })}`.split('\n');
    rest = parts.pop()!;
    for (const text of parts) yield { text, isWhole: true };
  }
  if (rest !== '') yield { text: rest, isWhole: false };
}

function parsed(text: string): TraceLine | null | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as TraceLine) : null;
  } catch {
    return undefined;
  }
}

function checkHead(json: TraceLine | null | undefined): void {
  if (json?.type !== 'trace') throw new TraceFormatError(1, 'it does not begin with a line of type "trace": no trace');
  if (json.version !== TRACE_VERSION)
    throw new TraceFormatError(
      1,
      `a trace of version ${show(json.version)}, and this package reads ${TRACE_VERSION}`,
      'Read it with the version of kvm-dsm that has written it; the line names it as `package`.',
    );
}

function recordOf(json: TraceLine, line: number): TraceRecord | undefined {
  try {
    return read(json);
  } catch (error) {
    throw new TraceFormatError(line, `${show(json.type)} is not as it was written: ${(error as Error).message}`);
  }
}

function read(json: TraceLine): TraceRecord | undefined {
  const machine = json.machine as number;
  const targets = () => (json.vcpus as JsonValue[]).map(targetFromJson);
  switch (json.type) {
    case 'trace':
      return { type: 'trace', head: json as unknown as TraceHead };
    case 'machine':
      return {
        type: 'machine',
        machine,
        run: json.run as number,
        born: BigInt(json.born as string),
        targets: targets(),
      };
    case 'exit':
    case 'act': {
      const { machine: _, ...event } = json;
      return { type: 'event', machine, event: eventFromJson(event) };
    }
    case 'node-ipi':
      return { type: 'node-ipi', machine, ipi: nodeIpiFromJson(json) };
    case 'state':
      return { type: 'state', machine, targets: targets() };
    case 'code': {
      const { vcpu, mode, from, bytes, aligned } = json as unknown as Record<keyof TracedCode, never>;
      const code = { vcpu, mode, from: BigInt(from), bytes: Buffer.from(bytes, 'hex'), aligned };
      return { type: 'code', machine, code };
    }
    case 'kernel':
      return { type: 'kernel', kernel: kernelEventFromJson(json) };
    case 'kernel-lost': {
      const { at, cpu, lost } = json as Record<string, number | string>;
      const of = cpu === undefined ? {} : { cpu: cpu as number };
      return { type: 'kernel-lost', loss: { at: BigInt(at!), ...of, lost: lost as number } };
    }
    case 'failure':
      return { type: 'failure', error: json.error as Record<string, JsonValue> };
    case 'end':
      return { type: 'end', ok: json.ok as boolean };
    default:
      return undefined;
  }
}
