/** Sent and handled side by side, for each vector on each vCPU: the forwarded IPIs and the script's acts against the counters. */
import { lapicRegisters } from '../abi/apic/lapic.ts';
import { NMI_VECTOR } from '../abi/exceptions.ts';
import { accepts, isForEveryone, isNamed } from '../apic/destination.ts';
import { type Ipi, IpiReader, ipiOfMsi, type Replayed } from '../apic/ipi.ts';
import { hex } from '../base/text.ts';
import { isExit, type TraceAct, type TraceEvent } from '../trace/event.ts';
import { shareOut } from './share-out.ts';
import { type DeliveryTarget, viewAfter, viewBefore } from './target.ts';

/** One vector on one vCPU. */
export interface DeliveryRow {
  readonly target: DeliveryTarget;
  readonly vector: number;
  /** The forwarded IPIs; of lowest priority as they were shared out. */
  readonly ipis: readonly Ipi[];
  readonly sent: number;
  readonly handled: number;
  /** What the script itself gave it, by place in the trace. */
  readonly given: readonly number[];
  readonly acts: number;
  /** What else the script did that may have brought it. */
  readonly replayed: string | undefined;
  /** Its APIC was another one before the IPI's run and after it, so that the IPI may have been for it or not. */
  readonly changed: boolean;
}

/** An IPI, and whom it names by the APICs before its run, and after it. */
interface Sent {
  readonly ipi: Ipi;
  readonly before: ReadonlySet<DeliveryTarget>;
  readonly after: ReadonlySet<DeliveryTarget>;
}

/** @param counts which vectors are looked at; NMIs are vector 2 */
export function deliveryRows(
  events: Iterable<TraceEvent>,
  targets: readonly DeliveryTarget[],
  counts: (vector: number) => boolean,
): DeliveryRow[] {
  const { sent, given, moved } = gather(events, targets, counts);
  const counted = targets.flatMap(({ interrupts }) => [...interrupts.keys()].filter(counts));
  const vectors = new Set([...sent.keys(), ...given.keys(), ...counted]);
  return [...vectors]
    .sort((a, b) => a - b)
    .flatMap((vector) => rowsOf(vector, targets, sent.get(vector) ?? [], given.get(vector), moved(vector)))
    .sort((a, b) => a.target.apic.vcpu - b.target.apic.vcpu || a.vector - b.vector);
}

/** The vector whose counter an IPI moves; `undefined` for INIT and the like. */
function countedVector({ command }: Ipi): number | undefined {
  if (command.deliveryMode === 'nmi') return NMI_VECTOR;
  return command.deliveryMode === 'fixed' || command.deliveryMode === 'lowestPriority' ? command.vector : undefined;
}

type Given = Map<DeliveryTarget, number[]>;

function gather(
  events: Iterable<TraceEvent>,
  targets: readonly DeliveryTarget[],
  counts: (vector: number) => boolean,
): { sent: Map<number, Sent[]>; given: Map<number, Given>; moved: (vector: number) => string | undefined } {
  const reader = new IpiReader();
  const sent = new Map<number, Sent[]>();
  const given = new Map<number, Given>();
  const replayed = new Set<number>();
  const here = new Set(targets.map(({ apic }) => apic.vcpu));
  let lines = false;
  for (const event of events) {
    const isOthers = !isExit(event) && isReplayOf(event, (vcpu) => !here.has(vcpu));
    if (isExit(event) || isOthers) {
      const ipi = isExit(event) ? reader.read(event.exit, event.seq) : reader.replayed(event);
      const vector = ipi && countedVector(ipi);
      if (ipi && vector !== undefined && counts(vector)) listIn(sent, vector).push(sentTo(ipi, event.seq, targets));
      continue;
    }
    giveTo(event, targets, given, counts);
    lines ||= event.ioctl?.startsWith('KVM_IRQ_LINE') === true;
    const again = replayedVector(event);
    if (again !== undefined) replayed.add(again);
  }
  const moved = (vector: number) => {
    if (replayed.has(vector)) return 'the script replayed the write of such an IPI as well';
    return lines ? 'the script moved an interrupt line as well' : undefined;
  };
  return { sent, given, moved };
}

function listIn<K, V>(lists: Map<K, V[]>, key: K): V[] {
  const known = lists.get(key);
  if (known) return known;
  const list: V[] = [];
  lists.set(key, list);
  return list;
}

function sentTo(ipi: Ipi, seq: number, targets: readonly DeliveryTarget[]): Sent {
  const before = targets.filter((target) => isMeant(ipi, viewBefore(target, seq)));
  const after = targets.filter((target) => isMeant(ipi, viewAfter(target, seq)));
  return { ipi, before: new Set(before), after: new Set(after) };
}

/** A broadcast means all that can take it, lowest priority one that can; an IPI to one means that one, be it off. */
function isMeant(ipi: Ipi, apic: DeliveryTarget['apic']): boolean {
  const any = isForEveryone(ipi) || ipi.command.deliveryMode === 'lowestPriority';
  return isNamed(ipi, apic) && (!any || accepts(ipi, apic));
}

/** What the script itself gave to vCPUs that can be named. */
function giveTo(
  act: TraceAct,
  targets: readonly DeliveryTarget[],
  given: Map<number, Given>,
  counts: (vector: number) => boolean,
): void {
  const give = (vector: number, to: (target: DeliveryTarget) => boolean) => {
    if (!counts(vector)) return;
    const here: Given = given.get(vector) ?? new Map();
    given.set(vector, here);
    for (const target of targets) if (to(target)) listIn(here, target).push(act.seq);
  };
  if (act.ioctl === 'KVM_INTERRUPT') give(act.vector, ({ apic }) => apic.vcpu === act.vcpu);
  else if (act.ioctl === 'KVM_NMI') give(NMI_VECTOR, ({ apic }) => apic.vcpu === act.vcpu);
  // Of one that a node gives again its exit has told.
  else if (act.ioctl === 'KVM_SIGNAL_MSI' && act.replayOf === undefined) {
    const ipi = ipiOfMsi(act.message, act.seq);
    const vector = ipi.command.deliveryMode === 'nmi' ? NMI_VECTOR : ipi.command.vector;
    give(vector, (target) => isNamed(ipi, viewAfter(target, act.seq)));
  }
}

/** Whether an act gives the write of a vCPU that runs elsewhere to those that run here: then that vCPU has sent it. */
function isReplayOf(act: TraceAct, isMeant: (vcpu: number) => boolean): act is TraceAct & Replayed {
  return (act.ioctl === 'KVM_DSM_IPI' || act.ioctl === 'KVM_DSM_X2APIC') && isMeant(act.write.vcpuId);
}

/** The vector of an act that writes an ICR again: whom it reaches nobody here can tell. */
function replayedVector(act: TraceAct): number | undefined {
  if (act.ioctl === 'KVM_DSM_IPI' && act.write.val === lapicRegisters.ICR) return act.write.val2 & 0xff;
  return act.ioctl === 'KVM_DSM_X2APIC' ? Number(act.write.data & 0xffn) : undefined;
}

function rowsOf(
  vector: number,
  targets: readonly DeliveryTarget[],
  sent: readonly Sent[],
  given: Given | undefined,
  replayed: string | undefined,
): DeliveryRow[] {
  const ipis = targets.map((target) =>
    sent.flatMap(({ ipi, after }) => (ipi.command.deliveryMode !== 'lowestPriority' && after.has(target) ? [ipi] : [])),
  );
  const isOpen = (index: number) => targets[index]!.uncounted?.(vector) !== undefined;
  const lowest = sent.filter(({ ipi }) => ipi.command.deliveryMode === 'lowestPriority');
  const takers = shareOut(
    lowest.map(({ after }) => {
      const named = targets.flatMap((target, index) => (after.has(target) ? [index] : []));
      // Where nothing tells how many came, those go that no counter has.
      return named.sort((a, b) => Number(isOpen(a)) - Number(isOpen(b)));
    }),
    targets.map((target, index) =>
      isOpen(index) ? Number.POSITIVE_INFINITY : Math.max(0, accepted(target, vector) - ipis[index]!.length),
    ),
  );
  lowest.forEach(({ ipi }, index) => {
    const taker = takers[index];
    if (taker !== undefined) ipis[taker]!.push(ipi);
  });
  return targets.flatMap((target, index): DeliveryRow[] => {
    const own = given?.get(target) ?? [];
    const handled = target.interrupts.get(vector) ?? 0;
    if (ipis[index]!.length + own.length + handled === 0) return [];
    const changed = sent.some(({ before, after }) => before.has(target) !== after.has(target));
    const counts = { sent: ipis[index]!.length, handled, acts: own.length };
    return [{ target, vector, ipis: ipis[index]!, ...counts, given: own, replayed, changed }];
  });
}

/** Handled, or about to be. */
function accepted({ interrupts, waiting }: DeliveryTarget, vector: number): number {
  return (interrupts.get(vector) ?? 0) + (waiting?.has(vector) ? 1 : 0);
}

/** What is wrong with a row. */
export interface DeliveryVerdict {
  readonly row: DeliveryRow;
  /** Somebody other than the script has to answer for it. */
  readonly accuses: boolean;
  /** What was sent has not come. */
  readonly isLost: boolean;
  readonly text: string;
  /** Why it is not judged. */
  readonly open?: string;
}

/** What is wrong with a row, and whether somebody other than the script has to answer for it; `undefined`: nothing. */
export function verdictOn(row: DeliveryRow): DeliveryVerdict | undefined {
  const { target, vector, sent, handled } = row;
  if (handled === sent + row.acts) return undefined;
  const { apic } = target;
  const what = `vCPU ${apic.vcpu} handled vector ${hex(vector)} ${times(handled)}, and ${times(sent)} it was sent there`;
  const open = (why: string) => ({
    row,
    accuses: false,
    isLost: false,
    text: `${what}: not judged, since ${why}`,
    open: why,
  });
  const uncounted = target.uncounted?.(vector);
  if (uncounted !== undefined) return open(uncounted);
  if (row.changed) return open('its local APIC was changed in the run of such an IPI, before or after it');
  if (row.acts > 0) return open(`the script gave it that vector ${times(row.acts)} as well`);
  return handled > sent ? tooMany(row, what, open) : tooFew(row, what, open);
}

type Open = (why: string) => DeliveryVerdict;

function tooMany(row: DeliveryRow, what: string, open: Open): DeliveryVerdict {
  const source = row.replayed ?? row.target.source?.(row.vector);
  if (source !== undefined) return open(source);
  return { row, accuses: true, isLost: false, text: what };
}

function tooFew(row: DeliveryRow, what: string, open: Open): DeliveryVerdict {
  const { target, vector, sent, handled } = row;
  const waits = target.waiting?.has(vector) ? 1 : 0;
  if (handled + waits === sent) return open(WAITS);
  if (vector !== NMI_VECTOR && (!target.apic.enabled || target.apic.mode === 'disabled'))
    return open('its local APIC is off, and takes no such interrupt');
  if (handled + waits > 0)
    return open('one that comes before the last was handled becomes one with it; send it after that, or one was lost');
  return { row, accuses: true, isLost: true, text: `${what}: sent, but not received` };
}

export const WAITS = 'one waits there and is not handled yet: it is in IRR, or in service';

/** `once`, `3 times`. */
export function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
