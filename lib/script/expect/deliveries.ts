/** Which vectors the forwarded ICR writes of a trace should have brought to which vCPU. */
import { type ApicView, accepts, isForEveryone, isNamed } from '../../apic/destination.ts';
import { type Ipi, ipiOf } from '../../apic/ipi.ts';
import { checkInteger, checkList } from '../../base/check.ts';
import { hex } from '../../base/text.ts';
import { icrWriteExits } from '../../exit/dsm.ts';
import type { TraceExit } from '../../trace/event.ts';
import type { Trace } from './trace.ts';

/** One vCPU as a destination. */
export interface DeliveryTarget {
  readonly apic: ApicView;
  /** How often the machine's handlers ran, by vector. */
  readonly interrupts: ReadonlyMap<number, number>;
}

/** Vectors below are the CPU's own; a LAPIC refuses those below 16. */
const FIRST_VECTOR = 32;

type Sent = Map<number, Map<number, number>>;

/**
 * Checks that each fixed IPI among the forwarded ICR writes was handled exactly once by each vCPU that it names.
 *
 * @param vectors only these; default: every vector that was sent or handled
 * @throws ExpectationError with sent and handled side by side; also if no IPI was sent at all: nothing is shown then
 */
export function expectExactlyOnce(trace: Trace, targets: readonly DeliveryTarget[], vectors?: readonly number[]): void {
  if (vectors) for (const vector of checkList('vectors', vectors)) checkInteger('vectors', vector, 0, 255);
  const counts = (vector: number) => vector >= FIRST_VECTOR && (vectors?.includes(vector) ?? true);
  const sent = sentTo(trace, targets, counts);
  const rows: { target: DeliveryTarget; vector: number; sent: number; handled: number }[] = [];
  for (const target of targets) {
    const here = sent.get(target.apic.vcpu);
    const all = new Set([...(here?.keys() ?? []), ...[...target.interrupts.keys()].filter(counts)]);
    for (const vector of [...all].sort((a, b) => a - b))
      rows.push({ target, vector, sent: here?.get(vector) ?? 0, handled: target.interrupts.get(vector) ?? 0 });
  }
  const total = rows.reduce((sum, row) => sum + row.sent, 0);
  if (total === 0 && rows.length === 0)
    throw trace.mismatch(
      { text: 'no fixed IPI came out of the guest, and none was handled: nothing is shown' },
      icrWriteExits,
      0,
    );
  const wrong = rows.filter((row) => row.sent !== row.handled);
  const first = wrong[0];
  if (!first) return;
  const headline = `vCPU ${first.target.apic.vcpu} handled vector ${hex(first.vector)} ${times(first.handled)}, and ${times(first.sent)} it was sent there`;
  const table = rows.map(
    (row) =>
      `${row.sent === row.handled ? ' ' : '!'} vCPU ${row.target.apic.vcpu}  vector ${hex(row.vector)}  sent ${row.sent}  handled ${row.handled}`,
  );
  throw trace.mismatch({ text: [headline, '', ...table].join('\n') }, icrWriteExits, total);
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function sentTo(
  exits: Iterable<TraceExit>,
  targets: readonly DeliveryTarget[],
  counts: (vector: number) => boolean,
): Sent {
  const sent: Sent = new Map(targets.map(({ apic }) => [apic.vcpu, new Map()]));
  for (const { exit } of exits) {
    const ipi = ipiOf(exit);
    if (ipi?.command.deliveryMode !== 'fixed' || !counts(ipi.command.vector)) continue;
    const { vector } = ipi.command;
    for (const target of targets) {
      if (!isMeant(ipi, target.apic)) continue;
      const here = sent.get(target.apic.vcpu)!;
      here.set(vector, (here.get(vector) ?? 0) + 1);
    }
  }
  return sent;
}

/** A broadcast means all that can take it; an IPI to one, that this one does: if its APIC is off, the IPI is lost. */
function isMeant(ipi: Ipi, apic: ApicView): boolean {
  return isNamed(ipi, apic) && (!isForEveryone(ipi) || accepts(ipi, apic));
}
