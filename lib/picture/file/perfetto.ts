/** A trace for Perfetto, as its native protobuf: its JSON import leaves flows out. Numbers: perfetto/trace/*.proto. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describeKernelEvent, describeKernelLoss, type KernelEvent } from '../../trace/kernel-event.ts';
import type { Delivery } from '../judge.ts';
import type { PictureItem, PictureLane } from '../picture.ts';
import type { LoadedMachine, LoadedTrace } from './load.ts';

/** Field numbers of the messages that are written. */
const TRACE_PACKET = 1;
const packet = { timestamp: 8, sequence: 10, trackEvent: 11, flags: 13, clock: 58, trackDescriptor: 60 };
const descriptor = { uuid: 1, name: 2, parent: 5 };
const event = { annotations: 4, type: 9, track: 11, categories: 22, name: 23, flows: 47, endingFlows: 48 };
const annotation = { text: 6, name: 10 };

const TYPE_INSTANT = 3;
const CLOCK_MONOTONIC = 3;
/** SEQ_INCREMENTAL_STATE_CLEARED. */
const FLAGS = 1;
const SEQUENCE = 1;

/** The file, in parts. Timestamps are CLOCK_MONOTONIC, so that kernel events on that clock lie beside these. */
export function* toPerfetto(trace: LoadedTrace): Iterable<Uint8Array> {
  const flows = new Flows();
  for (const [index, machine] of trace.machines.entries()) {
    const root = (index + 1) * 100_000;
    const many = trace.machines.length > 1;
    const name = many ? `machine ${machine.machine}` : `kvm-dsm on ${trace.head.on}, Linux ${trace.head.kernel}`;
    yield inPacket((out) => described(out, root, name));
    for (const lane of machine.picture.lanes)
      yield inPacket((out) => described(out, trackOf(root, lane), laneName(lane), root));
    for (const item of machine.picture.items) yield* ofItem(machine, root, item, flows);
  }
  yield* ofKernel(trace);
}

/** Below each vCPU the kernel's own events of its thread; those of no vCPU beside the machines. */
function* ofKernel({ machines, kernel, losses }: LoadedTrace): Iterable<Uint8Array> {
  const roots = new Map(machines.map(({ machine }, index) => [machine, (index + 1) * 100_000]));
  const known = new Set<number>();
  for (const one of kernel) {
    const lane = kernelLane(one, roots);
    if (!known.has(lane.track)) {
      known.add(lane.track);
      yield inPacket((out) => described(out, lane.track, lane.name, lane.parent));
    }
    const notes = { cpu: String(one.cpu), thread: String(one.tid) };
    yield packetAt(one.at, (out) => instant(out, lane.track, describeKernelEvent(one), one.event, notes));
  }
  for (const loss of losses) {
    if (!known.has(OTHER_THREADS)) yield inPacket((out) => described(out, OTHER_THREADS, OTHER_NAME));
    known.add(OTHER_THREADS);
    yield packetAt(loss.at, (out) => instant(out, OTHER_THREADS, `LOST: ${describeKernelLoss(loss)}`, 'lost', {}));
  }
}

const OTHER_THREADS = 1;
const OTHER_NAME = "the kernel, in no vCPU's thread";
/** Behind the tracks of a machine's vCPUs. */
const KERNEL_TRACKS = 50_000;

function kernelLane({ machine, vcpu }: KernelEvent, roots: ReadonlyMap<number, number>) {
  const root = machine === undefined ? undefined : roots.get(machine);
  if (root === undefined || vcpu === undefined) return { track: OTHER_THREADS, name: OTHER_NAME };
  const parent = trackOf(root, vcpu);
  return { track: parent + KERNEL_TRACKS, name: `kernel, vCPU ${vcpu}`, parent };
}

/** An id for each arrow of the file. */
class Flows {
  #last = 0;

  next(): bigint {
    this.#last += 1;
    return BigInt(this.#last);
  }
}

const laneName = (lane: PictureLane) => (lane === 'host' ? 'host (the script)' : `vCPU ${lane}`);
const trackOf = (root: number, lane: PictureLane) => root + (lane === 'host' ? 1 : lane + 2);

/** Whether it came, be it once too often. */
export const came = ({ state }: Delivery) => state === 'delivered' || state === 'doubled';

function* ofItem({ born }: LoadedMachine, root: number, item: PictureItem, flows: Flows): Iterable<Uint8Array> {
  const { ipi, lane, text, kind, seq, ns } = item;
  const at = born + BigInt(ns);
  const arrived = (ipi?.deliveries ?? []).filter(came).map((delivery) => ({ delivery, flow: flows.next() }));
  const wrong = (ipi?.deliveries ?? []).filter(({ state }) => state === 'lost' || state === 'doubled');
  const marks = wrong.map(({ to, state, why }) => `${state} at vCPU ${to}${why === undefined ? '' : `: ${why}`}`);
  const name = wrong.length === 0 ? text : `${wrong[0]!.state.toUpperCase()}: ${text}`;
  yield packetAt(at, (out) => {
    instant(out, trackOf(root, lane), name, wrong[0]?.state ?? kind, { seq: String(seq), wrong: marks.join('; ') });
    for (const { flow } of arrived) out.tag(event.flows, WireType.Bit64).fixed64(flow);
  });
  // When it came nobody has seen: right behind the sending, so that its arrow goes forward in time.
  for (const { delivery, flow } of arrived) {
    const from = ipi!.from === 'host' ? 'the host' : `vCPU ${ipi!.from}`;
    yield packetAt(at + 1n, (out) => {
      instant(out, trackOf(root, delivery.to), `${text}, from ${from}`, delivery.state, { of: `#${seq}` });
      out.tag(event.endingFlows, WireType.Bit64).fixed64(flow);
    });
  }
}

function instant(
  out: BinaryWriter,
  track: number,
  name: string,
  category: string,
  notes: Readonly<Record<string, string>>,
): void {
  out.tag(event.type, WireType.Varint).int32(TYPE_INSTANT);
  out.tag(event.track, WireType.Varint).uint64(track);
  out.tag(event.categories, WireType.LengthDelimited).string(category);
  out.tag(event.name, WireType.LengthDelimited).string(name);
  for (const [key, text] of Object.entries(notes)) {
    if (text === '') continue;
    out.tag(event.annotations, WireType.LengthDelimited).fork();
    out.tag(annotation.text, WireType.LengthDelimited).string(text);
    out.tag(annotation.name, WireType.LengthDelimited).string(key).join();
  }
}

function packetAt(timestamp: bigint, fill: (out: BinaryWriter) => void): Uint8Array {
  return inPacket((out) => {
    out.tag(packet.timestamp, WireType.Varint).uint64(timestamp);
    out.tag(packet.clock, WireType.Varint).uint32(CLOCK_MONOTONIC);
    out.tag(packet.trackEvent, WireType.LengthDelimited).fork();
    fill(out);
    out.join();
  });
}

function described(out: BinaryWriter, uuid: number, name: string, parent?: number): void {
  out.tag(packet.flags, WireType.Varint).uint32(FLAGS);
  out.tag(packet.trackDescriptor, WireType.LengthDelimited).fork();
  out.tag(descriptor.uuid, WireType.Varint).uint64(uuid);
  out.tag(descriptor.name, WireType.LengthDelimited).string(name);
  if (parent !== undefined) out.tag(descriptor.parent, WireType.Varint).uint64(parent);
  out.join();
}

function inPacket(fill: (out: BinaryWriter) => void): Uint8Array {
  const out = new BinaryWriter();
  out.tag(TRACE_PACKET, WireType.LengthDelimited).fork();
  out.tag(packet.sequence, WireType.Varint).uint32(SEQUENCE);
  fill(out);
  return out.join().finish();
}
