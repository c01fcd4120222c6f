/** What happened in a trace, as a picture has it: lanes, what stands in them in time, and interrupts from one to others. */

import type { ApicView } from '../apic/destination.ts';
import { type Ipi, IpiReader } from '../apic/ipi.ts';
import { isExit, type TraceEvent } from '../trace/event.ts';
import { type JudgedIpi, judgeIpis } from './judge.ts';
import type { DeliveryTarget } from './target.ts';
import { briefly, ipiWordsBeside, isPreparation } from './words.ts';

/** A vCPU by its vcpu_id, or the host: the script. */
export type PictureLane = number | 'host';

export interface PictureItem {
  readonly seq: number;
  /** Nanoseconds since the machine was made. */
  readonly ns: number;
  readonly lane: PictureLane;
  /** `ipi`: an interrupt was sent; `prepares`: a write of ICR2, whose destination the write of ICR after it has. */
  readonly kind: 'ipi' | 'prepares' | 'act' | 'word' | 'exit';
  readonly text: string;
  /** Fewer words, where the arrow shows to whom it goes. */
  readonly beside?: string;
  readonly ipi?: JudgedIpi;
  /** Of an exit. */
  readonly rip?: bigint;
}

export interface Picture {
  /** The host first, if it did anything; the vCPUs by their ids. */
  readonly lanes: readonly PictureLane[];
  readonly items: readonly PictureItem[];
}

/**
 * @param events in order; all that are known, for what became of an interrupt is told by those of all
 * @param targets what is known of each vCPU at the end; of one that is missing nothing is judged
 */
export function pictureOf(events: readonly TraceEvent[], targets: readonly DeliveryTarget[]): Picture {
  const all = withUnknown(events, targets);
  const judged = new Map(judgeIpis(events, all).map((ipi) => [ipi.seq, ipi]));
  const reader = new IpiReader();
  const items = events.map((event) => itemOf(event, reader, judged.get(event.seq)));
  const vcpus = all.map(({ apic }) => apic.vcpu).sort((a, b) => a - b);
  const host: PictureLane[] = items.some(({ lane }) => lane === 'host') ? ['host'] : [];
  return { lanes: [...host, ...vcpus], items };
}

function itemOf(event: TraceEvent, reader: IpiReader, judged: JudgedIpi | undefined): PictureItem {
  const { seq, ns } = event;
  const ipi: Ipi | undefined = isExit(event) ? reader.read(event.exit, seq) : undefined;
  const text = briefly(event, ipi);
  if (!isExit(event)) return { seq, ns, lane: 'host', kind: 'act', text, ...(judged && { ipi: judged }) };
  const { vcpu: lane, rip } = event;
  const beside = ipi && ipiWordsBeside(ipi);
  if (judged) return { seq, ns, lane, kind: 'ipi', text, rip, ...(beside !== undefined && { beside }), ipi: judged };
  const kind = isPreparation(event.exit) ? 'prepares' : event.word ? 'word' : 'exit';
  return { seq, ns, lane, kind, text, rip };
}

/** Of a vCPU that only the trace tells of, its vcpu_id is its APIC id, and nothing is judged. */
function withUnknown(events: readonly TraceEvent[], targets: readonly DeliveryTarget[]): DeliveryTarget[] {
  const known = new Set(targets.map(({ apic }) => apic.vcpu));
  const unknown = new Set(events.flatMap(({ vcpu }) => (vcpu === undefined || known.has(vcpu) ? [] : [vcpu])));
  return [...targets, ...[...unknown].map(unknownTarget)];
}

/** The same of a trace that is too long to look at all of it: so many events are missing among them. */
export function pictureOfPart(
  { events, omitted = 0 }: { readonly events: readonly TraceEvent[]; readonly omitted?: number },
  targets: readonly DeliveryTarget[],
): Picture {
  return pictureOf(events, omitted === 0 ? targets : unjudged(targets, TOO_LONG));
}

/** The same vCPUs, of which nothing is judged: what came is not all known. */
function unjudged(targets: readonly DeliveryTarget[], why: string): DeliveryTarget[] {
  return targets.map((target) => ({ ...target, uncounted: () => why }));
}

const TOO_LONG = 'the trace is too long to look at all of it';

/** A vCPU whose local APIC nobody could ask. */
export function unknownTarget(vcpu: number): DeliveryTarget {
  return { apic: unknownApic(vcpu), interrupts: new Map(), uncounted: () => 'its state is not known' };
}

export function unknownApic(vcpu: number): ApicView {
  return { vcpu, apicId: vcpu, mode: 'xapic', ldr: 0, dfr: 0xffff_ffff, enabled: true };
}
