/** The lines of a trace file: docs/trace.md and docs/trace.schema.json say what each has. */
import { type JsonValue, toJson } from '../../base/json.ts';
import { hex, hexBytes } from '../../base/text.ts';
import type { GuestMode } from '../../guest/code.ts';
import { nodeIpiToJson } from '../../node/crossing-words.ts';
import type { NodeIpi } from '../../node/crossings.ts';
import type { TraceEvent } from '../../trace/event.ts';
import { eventToJson } from '../../trace/json.ts';
import { type KernelEvent, type KernelLoss, kernelEventToJson } from '../../trace/kernel-event.ts';
import type { DeliveryTarget } from '../target.ts';

/** Of what the lines have; a reader takes no other. */
export const TRACE_VERSION = 1;

export type TraceLine = { readonly type: string } & Readonly<Record<string, JsonValue>>;

/** The first line. */
export interface TraceHead {
  readonly package: string;
  readonly kernel: string;
  readonly profile: string;
  /** `host`, or the lane of the lab. */
  readonly on: string;
}

export function headLine({ package: version, kernel, profile, on }: TraceHead): TraceLine {
  return { type: 'trace', version: TRACE_VERSION, package: version, kernel, profile, on };
}

/** A machine was made. @param machine its number in the file, from 1 @param run which run of the script made it, from 1 */
export function machineLine(
  machine: number,
  run: number,
  { born, irqchip, targets }: { born: bigint; irqchip: string; targets: readonly DeliveryTarget[] },
): TraceLine {
  const vcpus = targets.map(({ apic }) => ({ id: apic.vcpu, apic: toJson(apic) }));
  return { type: 'machine', machine, run, born: hex(born), irqchip, vcpus };
}

/** An event as `run --json` has it, and whose it is. */
export function eventLine(machine: number, event: TraceEvent): TraceLine {
  return { ...eventToJson(event), machine } as unknown as TraceLine;
}

/** An interrupt between the nodes of a machine, as `run --json` has it, and whose it is. */
export function nodeIpiLine(machine: number, ipi: NodeIpi): TraceLine {
  return { ...nodeIpiToJson(ipi), machine } as unknown as TraceLine;
}

/** An event of the kernel's own: `run --kernel-events`. */
export function kernelLine(event: KernelEvent): TraceLine {
  return { type: 'kernel', ...kernelEventToJson(event) };
}

/** Such events that are not in the trace. */
export function lossLine({ at, cpu, lost }: KernelLoss): TraceLine {
  return { type: 'kernel-lost', at: hex(at), ...(cpu !== undefined && { cpu }), lost };
}

/** Code of a vCPU where it had exits, as the end of a run left it. */
export interface TracedCode {
  readonly vcpu: number;
  readonly mode: GuestMode;
  /** An address as RIP has it. */
  readonly from: bigint;
  readonly bytes: Uint8Array;
  /** An instruction begins at `from`, as far as is known. */
  readonly aligned: boolean;
}

export function codeLine(machine: number, { vcpu, mode, from, bytes, aligned }: TracedCode): TraceLine {
  return { type: 'code', machine, vcpu, mode, from: hex(from), bytes: hexBytes(bytes, ''), aligned };
}

/** What a machine's vCPUs are when a run of it is over. @param seq how many events its trace has */
export function stateLine(machine: number, seq: number, targets: readonly DeliveryTarget[]): TraceLine {
  return { type: 'state', machine, seq, vcpus: targets.map(targetToJson) };
}

function targetToJson(target: DeliveryTarget): JsonValue {
  const { apic, earlier = [], interrupts, waiting = new Set(), awaits } = target;
  const vectors = Array.from({ length: 256 }, (_, vector) => vector);
  return {
    id: apic.vcpu,
    apic: toJson(apic),
    earlier: toJson(earlier),
    waiting: [...waiting],
    ...(awaits !== undefined && { awaits }),
    interrupts: Object.fromEntries([...interrupts].map(([vector, count]) => [String(vector), count])),
    uncounted: reasons(vectors, (vector) => target.uncounted?.(vector)),
    sources: reasons(vectors, (vector) => target.source?.(vector)),
  };
}

/** Many vectors have the same one, or none. */
function reasons(vectors: readonly number[], why: (vector: number) => string | undefined): JsonValue {
  const found = new Map<string, number[]>();
  for (const vector of vectors) {
    const text = why(vector);
    if (text !== undefined) found.set(text, [...(found.get(text) ?? []), vector]);
  }
  return [...found].map(([text, of]) => ({ why: text, vectors: of }));
}

interface TargetJson {
  readonly apic: DeliveryTarget['apic'];
  readonly earlier?: DeliveryTarget['earlier'];
  readonly waiting?: readonly number[];
  readonly awaits?: 'INIT' | 'SIPI';
  readonly interrupts?: Readonly<Record<string, number>>;
  readonly uncounted?: readonly { why: string; vectors: readonly number[] }[];
  readonly sources?: readonly { why: string; vectors: readonly number[] }[];
}

/** A vCPU of a `state` or a `machine` line. */
export function targetFromJson(json: JsonValue): DeliveryTarget {
  const { apic, earlier, waiting = [], awaits, interrupts = {}, uncounted, sources } = json as unknown as TargetJson;
  const reason = (list: TargetJson['sources']) => (vector: number) =>
    list?.find(({ vectors }) => vectors.includes(vector))?.why;
  return {
    apic,
    ...(earlier && { earlier }),
    interrupts: new Map(Object.entries(interrupts).map(([vector, count]) => [Number(vector), count])),
    waiting: new Set(waiting),
    awaits,
    uncounted: reason(uncounted),
    source: reason(sources),
  };
}

/** The script failed. @param error as `run --json` has it in its result */
export function failureLine(error: Record<string, unknown>): TraceLine {
  // The events stand in the file already.
  const { trace: _trace, ...rest } = error;
  return { type: 'failure', error: toJson(rest) };
}

/** The last line. Without one the run, or the writing, was cut off. */
export function endLine(ok: boolean, exitCode: number): TraceLine {
  return { type: 'end', ok, exitCode };
}

/**
 * The lines of machines, and those of the kernel's own events each before the first event that is later. Both in the order of time, as far
 * as that goes: machines stand one after the other.
 */
export function inTime(lines: readonly TraceLine[], kernel: readonly TraceLine[]): TraceLine[] {
  const born = new Map<JsonValue, bigint>();
  const all: TraceLine[] = [];
  let next = 0;
  for (const line of lines) {
    if (line.type === 'machine') born.set(line.machine!, BigInt(line.born as string));
    else if (line.type === 'exit' || line.type === 'act') {
      const at = born.get(line.machine!)! + BigInt(Math.round(line.ns as number));
      while (next < kernel.length && BigInt(kernel[next]!.at as string) <= at) all.push(kernel[next++]!);
    }
    all.push(line);
  }
  return [...all, ...kernel.slice(next)];
}
