/** Why what was waited for, or expected, did not come: what the programs and the trace say. */
import { describeDestination, describeIpi } from '../../../apic/describe.ts';
import type { Ipi } from '../../../apic/ipi.ts';
import { nearest } from '../../../base/nearest.ts';
import { hex } from '../../../base/text.ts';
import { isForwardedIcrWrite, isIcrWriteName } from '../../../exit/dsm.ts';
import { numberOf } from '../../../guest/protocol.ts';
import { isExit, type TraceExit } from '../../../trace/event.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Cause, Ending } from '../types.ts';

export function goalCauses(snapshot: Snapshot, ipis: readonly Ipi[], ending: Ending): Cause[] {
  const dsm = dsmCause(snapshot, ipis, ending);
  if (ending.kind !== 'deadline') return dsm;
  const { until } = ending;
  if (typeof until === 'object' && 'sync' in until) return [...dsm, ...syncCause(snapshot, until)];
  return dsm;
}

/** Nothing is forwarded, though a vCPU has written its ICR. */
function dsmCause(snapshot: Snapshot, ipis: readonly Ipi[], ending: Ending): Cause[] {
  const wanted =
    ending.kind === 'expectation'
      ? ending.seen === 0 && ending.kinds.some(isIcrWriteName)
      : ending.kind === 'deadline' && waitsForIcrWrite(ending.until);
  const forwarded = snapshot.events.some((event) => isExit(event) && isForwardedIcrWrite(event.exit));
  if (!wanted || forwarded) return [];
  const written = ipis.find(({ seq }) => seq === null);
  if (written && written.from !== 'host') {
    const what = `vCPU ${written.from} wrote its ICR (${describeIpi(written)} to ${describeDestination(written)})`;
    const text = `${what}, and no KVM_EXIT_DSM_ exit came: this kernel does not forward ICR writes, or APICv hides them`;
    return [{ text, vcpus: [written.from], weight: 95 }];
  }
  const lapics = snapshot.vcpus.flatMap(({ cpu }) => (typeof cpu === 'string' || !cpu.lapic ? [] : [cpu.lapic]));
  if (lapics.length === 0 || lapics.some(({ registers }) => registers.ICR !== 0 || registers.ICR2 !== 0)) return [];
  return [{ text: 'no vCPU has sent an IPI: the ICR of every LAPIC is 0', vcpus: [], weight: 60 }];
}

function waitsForIcrWrite(until: unknown): boolean {
  return typeof until === 'object' && until !== null && 'exit' in until && isIcrWriteName(until.exit);
}

interface SyncGoal {
  sync: string | number;
  count?: number;
  vcpu?: number;
}

function syncCause({ vcpus, events }: Snapshot, { sync: name, count = 1, vcpu }: SyncGoal): Cause[] {
  const came = events.filter((event): event is TraceExit => isExit(event) && event.word?.kind === 'sync');
  const wanted = came.filter(({ word }) => word?.kind === 'sync' && word.name === name);
  const shown = JSON.stringify(name);
  const others = wanted.filter((event) => vcpu !== undefined && event.vcpu !== vcpu);
  if (others.length > 0 && others.length === wanted.length)
    return [
      cause(`sync point ${shown} came from vCPU ${others[0]!.vcpu}, and the run waits for it from vCPU ${vcpu}`, 88),
    ];
  if (wanted.length > 0) return [cause(`sync point ${shown} came ${wanted.length} of ${count} times`, 66)];
  // A name's number is too large to stand in code by chance; a number of the script's own is not.
  if (typeof name !== 'string' || vcpus.some(({ program }) => program && hasNumber(program.bytes, numberOf(name))))
    return [];
  const heard = [...new Set(came.flatMap(({ word }) => (word?.kind === 'sync' ? [String(word.name)] : [])))];
  const near = nearest(name, heard);
  const told = heard.length === 0 ? 'none came' : `what came: ${heard.map((one) => JSON.stringify(one)).join(', ')}`;
  return [
    cause(
      `no program has sync point ${shown} (its number ${hex(numberOf(name))} stands in no code); ${told}${near ? `; did you mean ${JSON.stringify(near)}?` : ''}`,
      92,
    ),
  ];
}

function cause(text: string, weight: number): Cause {
  return { text, vcpus: [], weight };
}

function hasNumber(bytes: Uint8Array, number: number): boolean {
  const wanted = Buffer.alloc(4);
  wanted.writeUInt32LE(number);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(wanted);
}
