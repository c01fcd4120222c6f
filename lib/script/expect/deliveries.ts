/** Which vectors the forwarded ICR writes of a trace should have brought to which vCPU. */
import type { Lapic } from '../../abi/apic/lapic.ts';
import { checkInteger, checkList } from '../../base/check.ts';
import type { TraceExit } from '../../trace/event.ts';
import type { Trace } from './trace.ts';

/** One vCPU as a destination. */
export interface Target {
  /** vcpu_id; the APIC id of a machine's vCPU is the same. */
  readonly id: number;
  readonly lapic: Pick<Lapic, 'registers'>;
  /** How often the machine's handlers ran, by vector. */
  readonly interrupts: ReadonlyMap<number, number>;
}

/** Vectors below are the CPU's own; a LAPIC refuses those below 16. */
const FIRST_VECTOR = 32;
const BROADCAST = 0xff;
const DFR_CLUSTER = 0x0;

type Sent = Map<number, Map<number, number>>;

/**
 * Checks that each fixed IPI among the forwarded ICR writes was handled exactly once by each vCPU that it names.
 *
 * @param vectors only these; default: every vector that was sent or handled
 * @throws ExpectationError with sent and handled side by side; also if no IPI was sent at all: nothing is shown then
 */
export function expectExactlyOnce(trace: Trace, targets: readonly Target[], vectors?: readonly number[]): void {
  if (vectors) for (const vector of checkList('vectors', vectors)) checkInteger('vectors', vector, 0, 255);
  const counts = (vector: number) => vector >= FIRST_VECTOR && (vectors?.includes(vector) ?? true);
  const sent = sentTo(trace, targets, counts);
  const rows: { target: Target; vector: number; sent: number; handled: number }[] = [];
  for (const target of targets) {
    const here = sent.get(target.id);
    const all = new Set([...(here?.keys() ?? []), ...[...target.interrupts.keys()].filter(counts)]);
    for (const vector of [...all].sort((a, b) => a - b))
      rows.push({ target, vector, sent: here?.get(vector) ?? 0, handled: target.interrupts.get(vector) ?? 0 });
  }
  const kinds = ['KVM_EXIT_DSM_SEND_IRQ'];
  const total = rows.reduce((sum, row) => sum + row.sent, 0);
  if (total === 0 && rows.length === 0)
    throw trace.mismatch('no fixed IPI came out of the guest, and none was handled: nothing is shown', kinds, 0);
  const wrong = rows.filter((row) => row.sent !== row.handled);
  const first = wrong[0];
  if (!first) return;
  const headline = `vCPU ${first.target.id} handled vector 0x${first.vector.toString(16)} ${times(first.handled)}, and ${times(first.sent)} it was sent there`;
  const table = rows.map(
    (row) =>
      `${row.sent === row.handled ? ' ' : '!'} vCPU ${row.target.id}  vector 0x${row.vector.toString(16)}  sent ${row.sent}  handled ${row.handled}`,
  );
  throw trace.mismatch([headline, '', ...table].join('\n'), kinds, total);
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function sentTo(exits: Iterable<TraceExit>, targets: readonly Target[], counts: (vector: number) => boolean): Sent {
  const sent: Sent = new Map(targets.map(({ id }) => [id, new Map()]));
  for (const { exit } of exits) {
    if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ' || exit.register !== 'ICR') continue;
    const { icr, id: source, destId } = exit;
    if (icr.deliveryMode !== 'fixed' || !counts(icr.vector)) continue;
    for (const target of targets) {
      if (!isNamed(target, source, destId, icr)) continue;
      const here = sent.get(target.id)!;
      here.set(icr.vector, (here.get(icr.vector) ?? 0) + 1);
    }
  }
  return sent;
}

/** Source: Intel SDM volume 3, "Determining IPI Destination". */
function isNamed(
  { id, lapic }: Target,
  source: number,
  destination: number,
  icr: { shorthand: string; destinationMode: string },
): boolean {
  if (icr.shorthand === 'self') return id === source;
  if (icr.shorthand === 'allIncludingSelf') return true;
  if (icr.shorthand === 'allExcludingSelf') return id !== source;
  if (destination === BROADCAST) return true;
  if (icr.destinationMode === 'physical') return id === destination;
  const logicalId = lapic.registers.LDR >>> 24;
  if (lapic.registers.DFR >>> 28 !== DFR_CLUSTER) return (logicalId & destination) !== 0;
  return logicalId >> 4 === destination >> 4 && (logicalId & destination & 0xf) !== 0;
}
