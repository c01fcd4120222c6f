/** Why what a run waited for did not come: what came instead, and what came before the run began. */
import { vectorIn, vectorName } from '../../../abi/exceptions.ts';
import { nearest } from '../../../base/nearest.ts';
import { hex } from '../../../base/text.ts';
import { numberOf } from '../../../guest/protocol.ts';
import { isExit, type TraceExit } from '../../../trace/event.ts';
import type { Snapshot } from '../snapshot.ts';
import type { Cause, Ending } from '../types.ts';

type Deadline = Extract<Ending, { kind: 'deadline' }>;

/** What a run can wait for, in the terms of exits. */
interface Wanted {
  readonly what: string;
  readonly is: (event: TraceExit) => boolean;
  readonly count: number;
  readonly vcpu?: number | undefined;
}

export function waitedCauses(snapshot: Snapshot, ending: Deadline): Cause[] {
  const { until } = ending;
  if (until === 'done') return notDone(snapshot, ending);
  const wanted = wantedOf(until);
  if (!wanted) return [];
  const exits = snapshot.events.filter(isExit);
  const told = missing(wanted, exits, ending.from);
  if (told.length > 0 || typeof until !== 'object' || !('sync' in until)) return told;
  return noSuchSyncPoint(snapshot, exits, until.sync);
}

function wantedOf(until: Deadline['until']): Wanted | undefined {
  if (typeof until !== 'object' || 'halted' in until) return undefined;
  if ('exits' in until) return { what: 'exits', is: () => true, count: until.exits };
  const { vcpu } = until;
  if ('sync' in until) {
    const is = ({ word }: TraceExit) => word?.kind === 'sync' && word.name === until.sync;
    return { what: `sync point ${JSON.stringify(until.sync)}`, is, count: until.count ?? 1, vcpu };
  }
  if ('port' in until) {
    const is = ({ exit }: TraceExit) => exit.name === 'KVM_EXIT_IO' && exit.port === until.port;
    return { what: `an access to port ${hex(until.port)}`, is, count: 1, vcpu };
  }
  if ('fault' in until) {
    const vector = vectorIn('until.fault', until.fault);
    const is = ({ word }: TraceExit) => word?.kind === 'fault' && word.vector === vector;
    return { what: vectorName(vector), is, count: 1, vcpu };
  }
  if ('handled' in until) {
    const vector = vectorIn('until.handled', until.handled);
    const is = ({ word }: TraceExit) => word?.kind === 'handled' && word.vector === vector;
    return { what: `the end of the handler of ${vectorName(vector)}`, is, count: until.count ?? 1, vcpu };
  }
  return { what: until.exit, is: ({ exit }) => exit.name === until.exit, count: until.count ?? 1, vcpu };
}

/** @param from the first event of the run */
function missing({ what, is, count, vcpu }: Wanted, exits: readonly TraceExit[], from: number): Cause[] {
  const all = exits.filter(is);
  const mine = (event: TraceExit) => vcpu === undefined || event.vcpu === vcpu;
  const now = all.filter(({ seq }) => seq >= from);
  const here = now.filter(mine);
  const before = all.filter((event) => event.seq < from && mine(event));
  const earlier = before.length === 0 ? '' : `, and ${before.length} before it, which do not count`;
  if (here.length > 0) return [cause(`${what} came ${here.length} of ${count} times in this run${earlier}`, 66)];
  const other = now[0];
  if (other) return [cause(`${what} came from vCPU ${other.vcpu}, and the run waits for it from vCPU ${vcpu}`, 88)];
  const last = before.at(-1);
  // Exits of any kind come before most runs: that says nothing.
  if (!last || what === 'exits') return [];
  return [
    cause(`${what} came before this run, as #${last.seq}, and not in it: a run waits for what is still to come`, 87),
  ];
}

function noSuchSyncPoint({ vcpus }: Snapshot, exits: readonly TraceExit[], name: string | number): Cause[] {
  // A name's number is too large to stand in code by chance; a number of the script's own is not.
  if (typeof name !== 'string' || vcpus.some(({ program }) => program && hasNumber(program.bytes, numberOf(name))))
    return [];
  const heard = [...new Set(exits.flatMap(({ word }) => (word?.kind === 'sync' ? [String(word.name)] : [])))];
  const near = nearest(name, heard);
  const told = heard.length === 0 ? 'none came' : `what came: ${heard.map((one) => JSON.stringify(one)).join(', ')}`;
  const suggestion = near ? `; did you mean ${JSON.stringify(near)}?` : '';
  const what = `no program has sync point ${JSON.stringify(name)} (its number ${hex(numberOf(name))} stands in no code)`;
  return [cause(`${what}; ${told}${suggestion}`, 92)];
}

function notDone({ vcpus, events }: Snapshot, { from }: Deadline): Cause[] {
  const said = events.filter(isExit).filter(({ word }) => word?.kind === 'done');
  return vcpus.flatMap(({ id, program }) => {
    if (!program || said.some((event) => event.vcpu === id && event.seq >= from)) return [];
    const before = said.findLast((event) => event.vcpu === id);
    const when = before ? `: it did so before this run, as #${before.seq}, which does not count` : '';
    return [
      { text: `vCPU ${id} has not said that it is done in this run${when}`, vcpus: [id], weight: before ? 87 : 45 },
    ];
  });
}

function cause(text: string, weight: number): Cause {
  return { text, vcpus: [], weight };
}

function hasNumber(bytes: Uint8Array, number: number): boolean {
  const wanted = Buffer.alloc(4);
  wanted.writeUInt32LE(number);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(wanted);
}
