/** What became of each interrupt of a trace, at each vCPU that it names. */

import type { IcrCommand } from '../abi/apic/icr.ts';
import { type ApicView, accepts, isNamed } from '../apic/destination.ts';
import { type Ipi, IpiReader, ipiOfMsi } from '../apic/ipi.ts';
import { isExit, type TraceAct, type TraceEvent } from '../trace/event.ts';
import { type DeliveryRow, deliveryRows, times, verdictOn, WAITS } from './rows.ts';
import { type DeliveryTarget, viewAfter } from './target.ts';

/** `open`: not judged. */
export type DeliveryState = 'delivered' | 'lost' | 'doubled' | 'open';

/** One interrupt at one vCPU. */
export interface Delivery {
  /** vcpu_id. */
  readonly to: number;
  readonly state: DeliveryState;
  /** Why it is not judged, or what is wrong; in a few words. */
  readonly why?: string;
}

/** One interrupt, and what became of it. */
export interface JudgedIpi {
  readonly seq: number;
  readonly from: number | 'host';
  readonly command: Pick<IcrCommand, 'deliveryMode' | 'vector'>;
  /** By the vcpu_ids that it names; of lowest priority the one that has it. */
  readonly deliveries: readonly Delivery[];
  /** With lowest priority: how many it names. */
  readonly candidates?: number;
}

/** More of lowest priority and one vector are not shared out: that takes time by the square. */
const MOST_LOWEST = 2000;

/** One interrupt at one vCPU; KVM has no vcpu_id of 2^16. */
const key = (seq: number, vcpu: number) => seq * 65536 + vcpu;

/** In the order of the trace. */
export function judgeIpis(events: readonly TraceEvent[], targets: readonly DeliveryTarget[]): JudgedIpi[] {
  const judged = new Map<number, Delivery>();
  const isMany = lowestVectors(events);
  const rows = deliveryRows(events, targets, (vector) => !isMany.has(vector));
  for (const row of rows) for (const [seq, delivery] of ofRow(row)) judged.set(key(seq, delivery.to), delivery);
  const starts = new StartUps(events, targets);
  const reader = new IpiReader();
  return events.flatMap((event) => {
    const sent = isExit(event) ? reader.read(event.exit, event.seq) : ipiOfAct(event);
    if (!sent) return [];
    const { ipi, to } = 'ipi' in sent ? sent : { ipi: sent, to: undefined };
    const named = targets.filter((target) => to?.(target) ?? reaches(ipi, viewAfter(target, event.seq)));
    const blocked = !isExit(event) && event.ioctl === 'KVM_SIGNAL_MSI' && !event.delivered;
    const each = named.map((target): Delivery => {
      const { vcpu } = target.apic;
      if (blocked) return { to: vcpu, state: 'lost', why: 'KVM says that the guest blocked it' };
      return judged.get(key(event.seq, vcpu)) ?? starts.of(ipi, event.seq, target);
    });
    const { deliveryMode, vector } = ipi.command;
    const one = { seq: event.seq, from: ipi.from, command: { deliveryMode, vector } };
    if (deliveryMode !== 'lowestPriority' || isMany.has(vector)) return [{ ...one, deliveries: each }];
    const taken = each.filter(({ to }) => judged.has(key(event.seq, to)));
    return [{ ...one, deliveries: taken.length > 0 ? taken.slice(0, 1) : each, candidates: each.length }];
  });
}

/** A broadcast reaches whom it can; one that is named is meant, be it off. */
function reaches(ipi: Ipi, apic: ApicView): boolean {
  const { shorthand } = ipi.command;
  return isNamed(ipi, apic) && (shorthand === 'none' || shorthand === 'self' || accepts(ipi, apic));
}

interface Given {
  readonly ipi: Ipi;
  readonly to?: ((target: DeliveryTarget) => boolean) | undefined;
}

/** What of the script's acts is an interrupt for vCPUs that can be named. */
function ipiOfAct(act: TraceAct): Given | undefined {
  if (act.ioctl === 'KVM_SIGNAL_MSI')
    return act.replayOf === undefined ? { ipi: ipiOfMsi(act.message, act.seq) } : undefined;
  if (act.ioctl !== 'KVM_NMI' && act.ioctl !== 'KVM_INTERRUPT') return undefined;
  const vector = act.ioctl === 'KVM_INTERRUPT' ? act.vector : 0;
  const deliveryMode = act.ioctl === 'KVM_NMI' ? 'nmi' : 'fixed';
  const ipi = ipiOfMsi({ addressLo: 0, data: vector }, act.seq);
  return {
    ipi: { ...ipi, command: { ...ipi.command, deliveryMode } },
    to: ({ apic }) => apic.vcpu === act.vcpu,
  };
}

/** The vectors of so many IPIs of lowest priority. */
function lowestVectors(events: readonly TraceEvent[]): ReadonlySet<number> {
  const counts = new Map<number, number>();
  const reader = new IpiReader();
  for (const event of events) {
    const command = isExit(event) ? reader.read(event.exit, event.seq)?.command : undefined;
    if (command?.deliveryMode === 'lowestPriority') counts.set(command.vector, (counts.get(command.vector) ?? 0) + 1);
  }
  return new Set([...counts].flatMap(([vector, count]) => (count > MOST_LOWEST ? [vector] : [])));
}

/** Each interrupt of a row, by its place in the trace. */
function* ofRow(row: DeliveryRow): Iterable<[number, Delivery]> {
  const to = row.target.apic.vcpu;
  const places = [...row.ipis.map(({ seq }) => seq!), ...row.given].sort((a, b) => a - b);
  const { state, why, last } = stateOf(row);
  for (const [index, seq] of places.entries()) {
    const isLast = index === places.length - 1;
    yield [seq, isLast && last ? { to, ...last } : { to, state, ...(why !== undefined && { why }) }];
  }
}

interface RowState {
  readonly state: DeliveryState;
  readonly why?: string;
  /** Of the last one, if that is another. */
  readonly last?: { readonly state: DeliveryState; readonly why: string };
}

function stateOf(row: DeliveryRow): RowState {
  // What the script alone gave is judged like what a vCPU sent.
  const all = row.sent === 0 ? { ...row, sent: row.acts, acts: 0 } : row;
  const verdict = verdictOn(all);
  if (!verdict) return { state: 'delivered' };
  const counts = `sent ${times(all.sent)}, handled ${times(row.handled)}`;
  if (verdict.open === WAITS) return { state: 'delivered', last: { state: 'open', why: 'in IRR or ISR' } };
  if (verdict.open !== undefined) return { state: 'open', why: verdict.open };
  return { state: verdict.isLost ? 'lost' : 'doubled', why: counts };
}

/** INIT and SIPI, which no counter has: what the vCPU waits for at the end tells of the last ones. */
class StartUps {
  readonly #last = new Map<number, { init?: number; startUp?: number }>();

  constructor(events: readonly TraceEvent[], targets: readonly DeliveryTarget[]) {
    const reader = new IpiReader();
    for (const event of events) {
      const ipi = isExit(event) ? reader.read(event.exit, event.seq) : undefined;
      const mode = ipi?.command.deliveryMode;
      if (!ipi || (mode !== 'init' && mode !== 'startUp')) continue;
      for (const target of targets)
        if (reaches(ipi, viewAfter(target, event.seq))) this.#saw(target.apic.vcpu, mode, event.seq);
    }
  }

  #saw(vcpu: number, mode: 'init' | 'startUp', seq: number): void {
    const { init = -1, startUp = -1 } = this.#last.get(vcpu) ?? {};
    // Of several SIPIs after one INIT the first counts: the others find a CPU that runs.
    const next = mode === 'init' ? { init: seq, startUp } : { init, startUp: startUp > init ? startUp : seq };
    this.#last.set(vcpu, next);
  }

  of(ipi: Ipi, seq: number, { apic, awaits }: DeliveryTarget): Delivery {
    const to = apic.vcpu;
    const { init = -1, startUp = -1 } = this.#last.get(to) ?? {};
    const isLast = (place: number) => place === seq;
    if (ipi.command.deliveryMode === 'startUp') {
      if (!isLast(startUp) || startUp < init) return { to, state: 'open', why: 'not the last one' };
      if (awaits === 'SIPI') return { to, state: 'lost', why: 'it still waits for SIPI' };
      return awaits === 'INIT' ? { to, state: 'open', why: 'no INIT came' } : { to, state: 'delivered' };
    }
    if (ipi.command.deliveryMode === 'init') {
      if (!accepts(ipi, apic)) return { to, state: 'open', why: 'a de-assert does nothing' };
      if (!isLast(init)) return { to, state: 'open', why: 'not the last one' };
      if (awaits === 'INIT') return { to, state: 'lost', why: 'it still waits for INIT' };
      return awaits === 'SIPI' || startUp > init ? { to, state: 'delivered' } : { to, state: 'open', why: 'it runs' };
    }
    const why = ipi.command.deliveryMode === 'lowestPriority' ? 'too many to tell' : 'no counter has it';
    return { to, state: 'open', why };
  }
}
