/** A whole trace file in memory: the machines of it, each with its events and what became of them. */
import type { JsonValue } from '../../base/json.ts';
import type { TraceEvent } from '../../trace/event.ts';
import type { KernelEvent, KernelLoss } from '../../trace/kernel-event.ts';
import { type Picture, pictureOfPart } from '../picture.ts';
import type { DeliveryTarget } from '../target.ts';
import type { TraceRecord } from './read.ts';
import type { TracedCode, TraceHead } from './records.ts';

export interface LoadedMachine {
  /** Its number in the file. */
  readonly machine: number;
  /** When it was made, in nanoseconds of CLOCK_MONOTONIC. */
  readonly born: bigint;
  readonly picture: Picture;
  /** Where each vCPU is, of a machine with several nodes. */
  readonly nodes: ReadonlyMap<number, number>;
  /** Of several that have an address the last one counts. */
  readonly code: readonly TracedCode[];
}

export interface LoadedTrace {
  readonly head: TraceHead;
  readonly machines: readonly LoadedMachine[];
  /** The kernel's own, in the order of time. */
  readonly kernel: readonly KernelEvent[];
  readonly losses: readonly KernelLoss[];
  /** As `run --json` has it. */
  readonly failure?: Readonly<Record<string, JsonValue>>;
  /** The file ends before the run did. */
  readonly isCut: boolean;
}

interface Gathered {
  readonly born: bigint;
  readonly events: TraceEvent[];
  readonly nodes: Map<number, number>;
  readonly code: TracedCode[];
  targets: readonly DeliveryTarget[];
  left: number;
}

/** @param most so many events of a machine are kept, the last ones; default: all */
export async function loadTrace(
  records: AsyncIterable<TraceRecord>,
  most = Number.POSITIVE_INFINITY,
): Promise<LoadedTrace> {
  const machines = new Map<number, Gathered>();
  let head: TraceHead = { package: '', kernel: '', profile: '', on: '' };
  let failure: LoadedTrace['failure'];
  let isCut = false;
  let kernel: KernelEvent[] = [];
  const losses: KernelLoss[] = [];
  for await (const record of records) {
    if (record.type === 'trace') head = record.head;
    else if (record.type === 'machine') machines.set(record.machine, gathered(record));
    else if (record.type === 'event') keep(machines.get(record.machine), record.event, most);
    else if (record.type === 'state') machines.get(record.machine)!.targets = record.targets;
    else if (record.type === 'code') machines.get(record.machine)!.code.push(record.code);
    else if (record.type === 'kernel') {
      kernel.push(record.kernel);
      if (kernel.length >= most * 2) kernel = kernel.slice(-most);
    } else if (record.type === 'kernel-lost') losses.push(record.loss);
    else if (record.type === 'failure') failure = record.error;
    else isCut ||= record.type === 'cut';
  }
  const loaded = [...machines].map(([machine, { born, events, nodes, code, targets, left }]) => ({
    machine,
    born,
    nodes,
    code,
    picture: pictureOfPart({ events, omitted: left }, targets),
  }));
  kernel.sort((a, b) => Number(a.at - b.at));
  return { head, machines: loaded, kernel, losses, isCut, ...(failure && { failure }) };
}

/** Without a state at the end of a run nothing tells what came. */
function gathered({ born, targets }: TraceRecord & { type: 'machine' }): Gathered {
  const unknown = targets.map((target) => ({ ...target, uncounted: () => 'no run of the machine has ended' }));
  return { born, events: [], nodes: new Map(), code: [], targets: unknown, left: 0 };
}

function keep(machine: Gathered | undefined, event: TraceEvent, most: number): void {
  if (!machine) return;
  machine.events.push(event);
  if (event.node !== undefined && event.vcpu !== undefined) machine.nodes.set(event.vcpu, event.node);
  if (machine.events.length < most * 2) return;
  machine.left += machine.events.splice(0, machine.events.length - most).length;
}
