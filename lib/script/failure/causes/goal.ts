/** Why what was waited for, or expected, did not come: what the programs and the trace say. */
import { vectorIn, vectorName } from '../../../abi/exceptions.ts';
import { describeDestination, describeIpi, describeSender } from '../../../apic/describe.ts';
import type { Ipi } from '../../../apic/ipi.ts';
import { forwardsIpi, isIcrWriteName } from '../../../exit/dsm.ts';
import { isExit } from '../../../trace/event.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Cause, Ending } from '../types.ts';
import { waitedCauses } from './waited.ts';

export function goalCauses(snapshot: Snapshot, ipis: readonly Ipi[], ending: Ending): Cause[] {
  const dsm = dsmCause(snapshot, ipis, ending);
  if (ending.kind !== 'deadline') return dsm;
  return [...dsm, ...waitedCauses(snapshot, ending), ...otherVector(ipis, ending.until)];
}

/** The run waits for a vector that nobody is seen to have sent, and somebody sent another one. */
function otherVector(ipis: readonly Ipi[], until: Extract<Ending, { kind: 'deadline' }>['until']): Cause[] {
  if (typeof until !== 'object' || !('handled' in until)) return [];
  const vector = vectorIn('until.handled', until.handled);
  const sent = ipis.filter(({ command: { deliveryMode } }) => brings.includes(deliveryMode));
  const last = sent.at(-1);
  if (!last || sent.some(({ command }) => vector === (command.deliveryMode === 'nmi' ? NMI : command.vector)))
    return [];
  const seen = `${describeSender(last)} sent ${describeIpi(last)} to ${describeDestination(last)}`;
  return [{ text: `nobody is seen to have sent ${vectorName(vector)}; ${seen}`, vcpus: [], weight: 62 }];
}

const NMI = 2;
const brings: readonly string[] = ['fixed', 'lowestPriority', 'nmi'];

/** Nothing is forwarded, though a vCPU has written its ICR. */
function dsmCause(snapshot: Snapshot, ipis: readonly Ipi[], ending: Ending): Cause[] {
  const wanted =
    ending.kind === 'expectation'
      ? ending.seen === 0 && ending.kinds.some(isIcrWriteName)
      : ending.kind === 'deadline' && waitsForIcrWrite(ending.until);
  const forwarded = snapshot.events.some((event) => isExit(event) && forwardsIpi(event.exit));
  if (!wanted || forwarded) return [];
  const written = ipis.find(({ seq }) => seq === null);
  if (written && written.from !== 'host') {
    const what = `vCPU ${written.from} wrote its ICR (${describeIpi(written)} to ${describeDestination(written)})`;
    const text = `${what}, and no KVM_EXIT_DSM_ exit came: this kernel does not forward ICR writes, or APICv hides them`;
    return [{ text, vcpus: [written.from], weight: 95 }];
  }
  const lapics = snapshot.vcpus.flatMap(({ cpu }) => (typeof cpu === 'string' || !cpu.lapic ? [] : [cpu.lapic]));
  if (lapics.length === 0 || lapics.some(({ registers }) => registers.ICR !== 0 || registers.ICR2 !== 0)) return [];
  return [{ text: 'no vCPU has sent an IPI by its ICR: that of every LAPIC is 0', vcpus: [], weight: 60 }];
}

function waitsForIcrWrite(until: unknown): boolean {
  return typeof until === 'object' && until !== null && 'exit' in until && isIcrWriteName(until.exit);
}
