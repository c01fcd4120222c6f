/** Whether the fixed and lowest-priority IPIs of a trace were handled: the forwarded writes and calls against the counters. */
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import { type ApicView, accepts, isForEveryone, isNamed } from '../../apic/destination.ts';
import { type Ipi, IpiReader, ipiOfMsi } from '../../apic/ipi.ts';
import { checkInteger, checkList } from '../../base/check.ts';
import { ArgumentError, type Failure } from '../../base/errors.ts';
import { hex } from '../../base/text.ts';
import { ipiExits } from '../../exit/dsm.ts';
import { isExit, type TraceEvent } from '../../trace/event.ts';
import { NotReceivedError } from '../errors.ts';
import { shareOut } from './share-out.ts';
import type { Trace } from './trace.ts';

/** The APIC of a vCPU when it was out of the guest: at the begin or the end of a run, or now. */
export interface ApicAt {
  /** How many events the trace had then. */
  readonly seq: number;
  readonly apic: ApicView;
}

/** One vCPU as a destination. */
export interface DeliveryTarget {
  /** Now. */
  readonly apic: ApicView;
  /** What it was before, the oldest first. */
  readonly earlier?: readonly ApicAt[];
  /** How often the machine's handlers ran, by vector. */
  readonly interrupts: ReadonlyMap<number, number>;
  /** Vectors that have been accepted and not counted yet: in IRR or in service, or about to be injected. */
  readonly waiting?: ReadonlySet<number>;
  /** Why the counter of a vector tells nothing: a handler of the program's own, say. `undefined` if it tells. */
  uncounted?(vector: number): string | undefined;
  /** What else may bring this vector: a timer, a line of the IOAPIC. `undefined` if nothing that is known. */
  source?(vector: number): string | undefined;
}

/** Vectors below are the CPU's own; a LAPIC refuses those below 16. */
const FIRST_VECTOR = 32;

/** One vector on one vCPU. */
interface Row {
  readonly target: DeliveryTarget;
  readonly vector: number;
  /** By forwarded IPIs. Of lowest priority as it was shared out. */
  sent: number;
  readonly handled: number;
  /** By acts of the script. */
  readonly acts: number;
  /** What else the script did that may have brought it. */
  readonly replayed: string | undefined;
  /** Its APIC was another one before the IPI's run and after it, so that the IPI may have been for it or not. */
  readonly changed: boolean;
}

/**
 * Checks that each fixed IPI among the forwarded ICR writes was handled exactly once by each vCPU that it names, and each
 * of lowest priority by one of them.
 *
 * Whom an IPI names is asked of the APICs as they were at the end of the run that it was sent in. What cannot be told,
 * because an APIC was changed in that run, because of two of one vector, or because the vector came another way as well,
 * is no accusation: the error says that it is not judged, and why.
 *
 * @param vectors only these; default: every vector that was sent or handled
 * @throws ExpectationError with sent and handled side by side; also if no IPI was sent at all: nothing is shown then;
 *   NotReceivedError, which is one, if one was sent and not received
 */
export function expectExactlyOnce(trace: Trace, targets: readonly DeliveryTarget[], vectors?: readonly number[]): void {
  if (vectors !== undefined) checkVectors(vectors);
  const counts = (vector: number) => vector >= FIRST_VECTOR && (vectors?.includes(vector) ?? true);
  const rows = rowsOf(trace.events, targets, counts);
  const total = rows.reduce((sum, row) => sum + row.sent, 0);
  if (total === 0 && rows.length === 0)
    throw trace.mismatch(
      { text: 'no fixed IPI came out of the guest, and none was handled: nothing is shown' },
      ipiExits,
      0,
    );
  const wrong = rows.flatMap((row) => verdictOn(row) ?? []);
  // An accusation goes before what is not judged.
  const first = wrong.find(({ accuses }) => accuses) ?? wrong[0];
  if (!first) return;
  const table = rows.map((row) => {
    const acts = row.acts === 0 ? '' : `  by the script ${row.acts}`;
    const mark = wrong.some((one) => one.row === row) ? '!' : ' ';
    return `${mark} vCPU ${row.target.apic.vcpu}  vector ${hex(row.vector)}  sent ${row.sent}${acts}  handled ${row.handled}`;
  });
  const error = trace.mismatch({ text: [first.text, '', ...table].join('\n') }, ipiExits, total);
  if (!first.isLost) throw error;
  const { target, vector } = first.row;
  throw new NotReceivedError(error.message, { vcpuId: target.apic.vcpu, vector }, error, error.failure as Failure);
}

function checkVectors(vectors: readonly number[]): void {
  if (checkList('vectors', vectors).length === 0)
    throw new ArgumentError('vectors', 'vectors is empty: nothing would be compared', 'Leave it out, or name some.');
  for (const vector of vectors) checkInteger('vectors', vector, FIRST_VECTOR, 255);
}

function rowsOf(
  events: readonly TraceEvent[],
  targets: readonly DeliveryTarget[],
  counts: (vector: number) => boolean,
): Row[] {
  const sent = ipisOf(events, targets).filter(({ ipi }) => counts(ipi.command.vector));
  const vectors = new Set([
    ...sent.map(({ ipi }) => ipi.command.vector),
    ...targets.flatMap(({ interrupts }) => [...interrupts.keys()].filter(counts)),
  ]);
  const rows: Row[] = [];
  for (const vector of [...vectors].sort((a, b) => a - b)) {
    const here = sent.filter(({ ipi }) => ipi.command.vector === vector);
    const of = targets.map((target): Row => {
      const named = here.filter(({ after }) => after.has(target));
      const byScript = acts(events, vector, target);
      return {
        target,
        vector,
        sent: named.filter(({ ipi }) => ipi.command.deliveryMode === 'fixed').length,
        handled: target.interrupts.get(vector) ?? 0,
        acts: byScript,
        replayed: alsoByScript(events, vector),
        changed: here.some(({ before, after }) => before.has(target) !== after.has(target)),
      };
    });
    const lowest = here.filter(({ ipi }) => ipi.command.deliveryMode === 'lowestPriority');
    const isOpen = (row: Row) => row.target.uncounted?.(vector) !== undefined;
    const room = of.map((row) => (isOpen(row) ? Number.POSITIVE_INFINITY : Math.max(0, accepted(row) - row.sent)));
    const shares = shareOut(
      lowest.map(({ after }) => {
        const named = of.flatMap((row, index) => (after.has(row.target) ? [index] : []));
        // Where nothing tells how many came, those go that no counter has.
        return named.sort((a, b) => Number(isOpen(of[a]!)) - Number(isOpen(of[b]!)));
      }),
      room,
    );
    of.forEach((row, index) => {
      row.sent += shares[index]!;
    });
    rows.push(...of.filter((row) => row.sent > 0 || row.handled > 0));
  }
  return rows.sort((a, b) => a.target.apic.vcpu - b.target.apic.vcpu || a.vector - b.vector);
}

/** Handled, or about to be. */
function accepted({ target, vector, handled }: Row): number {
  return handled + (target.waiting?.has(vector) ? 1 : 0);
}

/** An IPI, and whom it names by the APICs before its run, and after it. */
interface Sent {
  readonly ipi: Ipi;
  readonly before: ReadonlySet<DeliveryTarget>;
  readonly after: ReadonlySet<DeliveryTarget>;
}

function ipisOf(events: readonly TraceEvent[], targets: readonly DeliveryTarget[]): Sent[] {
  const reader = new IpiReader();
  return events.flatMap((event) => {
    const ipi = isExit(event) ? reader.read(event.exit, event.seq) : undefined;
    if (ipi?.command.deliveryMode !== 'fixed' && ipi?.command.deliveryMode !== 'lowestPriority') return [];
    const before = targets.filter((target) => isMeant(ipi, viewBefore(target, event.seq)));
    const after = targets.filter((target) => isMeant(ipi, viewAfter(target, event.seq)));
    return [{ ipi, before: new Set(before), after: new Set(after) }];
  });
}

function viewBefore({ earlier = [], apic }: DeliveryTarget, seq: number): ApicView {
  return (earlier.findLast((view) => view.seq <= seq) ?? earlier[0])?.apic ?? apic;
}

function viewAfter({ earlier = [], apic }: DeliveryTarget, seq: number): ApicView {
  return earlier.find((view) => view.seq > seq)?.apic ?? apic;
}

/** A broadcast means all that can take it, lowest priority one that can; an IPI to one means that one, be it off. */
function isMeant(ipi: Ipi, apic: ApicView): boolean {
  const any = isForEveryone(ipi) || ipi.command.deliveryMode === 'lowestPriority';
  return isNamed(ipi, apic) && (!any || accepts(ipi, apic));
}

/** How often the script itself gave the vector to this vCPU. */
function acts(events: readonly TraceEvent[], vector: number, target: DeliveryTarget): number {
  return events.filter((event) => {
    if (isExit(event)) return false;
    if (event.ioctl === 'KVM_INTERRUPT') return event.vcpu === target.apic.vcpu && event.vector === vector;
    if (event.ioctl !== 'KVM_SIGNAL_MSI') return false;
    const ipi = ipiOfMsi(event.message, event.seq);
    return ipi.command.vector === vector && isNamed(ipi, viewAfter(target, event.seq));
  }).length;
}

/** Acts that bring a vector to vCPUs that nobody here can name. */
function alsoByScript(events: readonly TraceEvent[], vector: number): string | undefined {
  for (const event of events) {
    if (isExit(event)) continue;
    if (event.ioctl === 'KVM_IRQ_LINE' || event.ioctl === 'KVM_IRQ_LINE_STATUS')
      return 'the script moved an interrupt line as well';
    const icr =
      event.ioctl === 'KVM_DSM_IPI' && event.write.val === lapicRegisters.ICR
        ? event.write.val2
        : event.ioctl === 'KVM_DSM_X2APIC'
          ? Number(event.write.data & 0xffn)
          : undefined;
    if (icr !== undefined && (icr & 0xff) === vector) return 'the script replayed the write of such an IPI as well';
  }
  return undefined;
}

interface Verdict {
  readonly row: Row;
  /** Somebody other than the script has to answer for it. */
  readonly accuses: boolean;
  /** What was sent has not come. */
  readonly isLost: boolean;
  readonly text: string;
}

/** What is wrong with a row, and whether somebody other than the script has to answer for it; `undefined`: nothing. */
function verdictOn(row: Row): Verdict | undefined {
  const { target, vector, sent, handled } = row;
  if (handled === sent + row.acts) return undefined;
  const { apic } = target;
  const what = `vCPU ${apic.vcpu} handled vector ${hex(vector)} ${times(handled)}, and ${times(sent)} it was sent there`;
  const open = (why: string) => ({ row, accuses: false, isLost: false, text: `${what}: not judged, since ${why}` });
  const uncounted = target.uncounted?.(vector);
  if (uncounted !== undefined) return open(uncounted);
  if (row.changed) return open('its local APIC was changed in the run of such an IPI, before or after it');
  if (row.acts > 0) return open(`the script gave it that vector ${times(row.acts)} as well`);
  return handled > sent ? tooMany(row, what, open) : tooFew(row, what, open);
}

type Open = (why: string) => Verdict;

function tooMany(row: Row, what: string, open: Open): Verdict {
  const source = row.replayed ?? row.target.source?.(row.vector);
  if (source !== undefined) return open(source);
  return { row, accuses: true, isLost: false, text: what };
}

function tooFew(row: Row, what: string, open: Open): Verdict {
  const { target, vector, sent, handled } = row;
  const waits = target.waiting?.has(vector) ? 1 : 0;
  if (handled + waits === sent) return open('one waits there and is not handled yet: it is in IRR, or in service');
  if (!target.apic.enabled || target.apic.mode === 'disabled')
    return open('its local APIC is off, and takes no such interrupt');
  if (handled + waits > 0)
    return open('one that comes before the last was handled becomes one with it; send it after that, or one was lost');
  return { row, accuses: true, isLost: true, text: `${what}: sent, but not received` };
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
