/** Whether the fixed and lowest-priority IPIs of a trace were handled: the forwarded writes and calls against the counters. */
import { checkInteger, checkList } from '../../base/check.ts';
import { ArgumentError, type Failure } from '../../base/errors.ts';
import { hex } from '../../base/text.ts';
import { ipiExits } from '../../exit/dsm.ts';
import { deliveryRows, verdictOn } from '../../picture/rows.ts';
import type { DeliveryTarget } from '../../picture/target.ts';
import { NotReceivedError } from '../errors.ts';
import type { Trace } from './trace.ts';

/** Vectors below are the CPU's own; a LAPIC refuses those below 16. */
const FIRST_VECTOR = 32;

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
  // What the script alone gave is no IPI.
  const rows = deliveryRows(trace.each(), targets, counts).filter(({ sent, handled }) => sent > 0 || handled > 0);
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
