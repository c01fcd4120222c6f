/** When a run is over. */
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { vectorCheck, vectorIn, vectorName } from '../../abi/exceptions.ts';
import { checkChoice, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { suggest } from '../../base/nearest.ts';
import { integer, listOf, optional, shape } from '../../base/shape.ts';
import { show } from '../../base/text.ts';
import type { Exit } from '../../exit/exit.ts';
import { exitName, reasonOf } from '../../exit/kinds.ts';
import { isCounted } from '../../guest/handlers.ts';
import { guestPorts, ownNumberOf, wordName } from '../../guest/protocol.ts';
import type { LogGoal } from '../../kvm/vcpu/run/exit-log.ts';
import type { TraceExit } from '../../trace/event.ts';

/**
 * When a run is over: what is said below; `done`: every vCPU has come to its `done()`; `halted`: every vCPU is idle in HLT; or
 * what a function says, which is asked about each exit. Counts begin with the run.
 */
export type Until =
  | {
      /** A sync point of the guest, by name or number. */
      sync: string | number;
      /** At its n-th time, from 1. Default 1. */
      count?: number;
      /** Of the vCPU with this vcpu_id. Default: of any. */
      vcpu?: number;
    }
  | {
      /** An access to a port, 0 to 0xffff. */
      port: number;
      /** Of the vCPU with this vcpu_id. Default: of any. */
      vcpu?: number;
    }
  | {
      /** An exit of this name. */
      exit: Exit['name'];
      /** The n-th, from 1. Default 1. */
      count?: number;
      /** Of the vCPU with this vcpu_id. Default: of any. */
      vcpu?: number;
    }
  | {
      /** So many exits of any kind, all vCPUs together. */
      exits: number;
    }
  | {
      /** A vector that the program does not handle: 0 to 255, or an exception's name such as `#GP`. */
      fault: string | number;
      /** Of the vCPU with this vcpu_id. Default: of any. */
      vcpu?: number;
    }
  | {
      /** These vCPUs, by vcpu_id, are idle in HLT. */
      halted: number | readonly number[];
    }
  | {
      /** The machine's handler of this vector has run, EOI included: 32 to 255, or an NMI. */
      handled: number | 'NMI';
      /** For the n-th time, from 1. Default 1. */
      count?: number;
      /** On the vCPU with this vcpu_id. Default: on any. */
      vcpu?: number;
    }
  | 'done'
  | 'halted'
  | ((event: TraceExit) => boolean);

/** One run's end. */
export interface Goal {
  /** Asked about each exit of the run, in order: is the run over with it? */
  reached(event: TraceExit): boolean;
  /** The vCPUs that have to be idle in HLT for the run to be over; none: being idle ends no run. */
  readonly idle: readonly number[];
  /** The same as the addon can tell it, but for how often; `null`: every exit has to be looked at. */
  readonly native: LogGoal | null;
  /** The vector whose handler has to tell the host, on this vCPU or on all of them. */
  readonly handled?: { readonly vector: number; readonly vcpu?: number };
  /** Whether an exit is one of those that `native` counts. */
  counts(event: TraceExit): boolean;
  /** Each vCPU has to come to it. */
  readonly ofEach?: boolean;
  /** For a message. */
  readonly description: string;
  /** True if it waits for exits that KVM may or may not make, and not for the guest's own words. */
  readonly waitsForExits: boolean;
}

type Form = Exclude<Until, string | ((event: TraceExit) => boolean)>;
type FormOf<K extends string> = Extract<Form, Readonly<Record<K, unknown>>>;

const vcpuId = optional(integer(0, 0xffff_ffff));
const count = optional(integer(1, Number.MAX_SAFE_INTEGER));
const vcpuIds = listOf(integer(0, 0xffff_ffff));

/** A vector whose handler returns. */
function handledVector(argument: string, value: unknown): number | 'NMI' {
  const vector = vectorIn(argument, value as number | string);
  if (isCounted(vector)) return vector;
  throw new ArgumentError(
    argument,
    `${argument} is ${vectorName(vector)}: no handler of the machine returns from an exception`,
    'Wait for it with `fault`; interrupts have the vectors 32 to 255, and there is NMI.',
  );
}

/** What each form of waiting takes: the first key says which it is. */
const forms = {
  sync: shape<FormOf<'sync'>>('a wait for a sync point takes', { sync: wordName, count, vcpu: vcpuId }),
  port: shape<FormOf<'port'>>('a wait for a port takes', { port: integer(0, 0xffff), vcpu: vcpuId }),
  exit: shape<FormOf<'exit'>>('a wait for an exit takes', { exit: exitName, count, vcpu: vcpuId }),
  exits: shape<FormOf<'exits'>>('a wait for so many exits takes', { exits: integer(1, Number.MAX_SAFE_INTEGER) }),
  fault: shape<FormOf<'fault'>>('a wait for a fault takes', { fault: vectorCheck, vcpu: vcpuId }),
  handled: shape<FormOf<'handled'>>('a wait for a handled interrupt takes', {
    handled: handledVector,
    count,
    vcpu: vcpuId,
  }),
  halted: shape<FormOf<'halted'>>('a wait for idle vCPUs takes', {
    halted: (argument, value) => (Array.isArray(value) ? vcpuIds(argument, value) : vcpuIds(argument, [value])[0]!),
  }),
};

/**
 * @param running the vcpu_ids that take part
 * @param here those of them that run in this process
 */
export function goalOf(
  until: Until,
  running: readonly number[],
  profile: DsmProfile,
  here: readonly number[] = running,
): Goal {
  if (typeof until === 'function') return judgedGoal(until);
  if (typeof until !== 'object' || until === null) {
    if (checkChoice('until', until, ['halted', 'done']) === 'halted')
      return idleGoal('every vCPU idle in HLT', running);
    return doneGoal(here);
  }
  const kinds = Object.keys(forms) as (keyof typeof forms)[];
  const kind = kinds.find((key) => key in checkObject('until', until));
  if (kind === undefined) {
    const [key] = Object.keys(until);
    throw new ArgumentError(
      'until',
      key === undefined
        ? 'until is empty: it waits for nothing'
        : `until waits for nothing: it has no ${kinds.join(', ')}`,
      suggest(key ?? '', kinds, `Give one of ${kinds.join(', ')}, "done", "halted", or a function.`),
    );
  }
  const given = forms[kind]('until', until);
  if ('vcpu' in given && running.length > 0) checkChoice('until.vcpu', given.vcpu, running);
  return 'halted' in given ? haltedGoal(given.halted, running) : exitsGoal(given, profile);
}

function haltedGoal(halted: number | readonly number[], running: readonly number[]): Goal {
  const ids = [halted].flat();
  if (ids.length === 0) throw new ArgumentError('until.halted', 'until.halted names no vCPU', 'Name at least one.');
  for (const id of ids) checkChoice('until.halted', id, running);
  return idleGoal(`vCPU ${ids.join(' and ')} idle in HLT`, ids);
}

function judgedGoal(until: (event: TraceExit) => boolean): Goal {
  const judged = (event: TraceExit) => {
    const verdict: unknown = until(event);
    if (typeof verdict === 'boolean') return verdict;
    const what = verdict instanceof Promise ? 'a promise' : show(verdict);
    throw new ArgumentError(
      'until',
      `until answered ${what} for ${event.exit.name}, not true or false`,
      'Return true when the run is over, and false when it goes on; it is not waited for.',
    );
  };
  return goal('the exit that the script waits for', judged, null, true);
}

function exitsGoal(until: Exclude<Form, { halted: unknown }>, profile: DsmProfile): Goal {
  if ('exits' in until) {
    const { exits: count } = until;
    return goal(`${count} exits`, () => true, { is: 'exits', count }, true, count);
  }
  const { vcpu } = until;
  const from = vcpu === undefined ? '' : ` of vCPU ${vcpu}`;
  const own = vcpu === undefined ? {} : { vcpu };
  const isFrom = (event: TraceExit) => vcpu === undefined || event.vcpu === vcpu;
  if ('port' in until) {
    const { port } = until;
    const uses = (event: TraceExit) => event.exit.name === 'KVM_EXIT_IO' && event.exit.port === port && isFrom(event);
    return goal(`an access${from} to port 0x${port.toString(16)}`, uses, { is: 'port', port, ...own }, false);
  }
  if ('sync' in until) {
    const { sync: name, count = 1 } = until;
    const says = (event: TraceExit) => event.word?.kind === 'sync' && event.word.name === name && isFrom(event);
    const times = count === 1 ? '' : `${count} x `;
    const value = ownNumberOf(name);
    const native: LogGoal | null =
      value === undefined ? null : { is: 'word', port: guestPorts.sync, value, count, ...own };
    return goal(`${times}sync point ${JSON.stringify(name)}${from}`, says, native, false, count);
  }
  if ('fault' in until) {
    const vector = vectorIn('until.fault', until.fault);
    const faults = ({ word }: TraceExit) => word?.kind === 'fault' && word.vector === vector;
    // Each fault is looked at.
    const description = `${vectorName(vector)}${from}`;
    return goal(description, (event) => faults(event) && isFrom(event), { is: 'none' }, false);
  }
  if ('handled' in until) return handledGoal(until);
  const { exit: name, count = 1 } = until;
  const reason = reasonOf(name, profile);
  const native: LogGoal | null = reason === undefined ? null : { is: 'reason', reason, count, ...own };
  return goal(`${count} x ${name}${from}`, (event) => event.exit.name === name && isFrom(event), native, true, count);
}

/** The handler says so once for each, so that the addon counts them as it counts sync points. */
function handledGoal({ handled, vcpu, count = 1 }: FormOf<'handled'>): Goal {
  const vector = vectorIn('until.handled', handled);
  const own = vcpu === undefined ? {} : { vcpu };
  const tells = ({ word, vcpu: id }: TraceExit) =>
    word?.kind === 'handled' && word.vector === vector && (vcpu === undefined || id === vcpu);
  const native: LogGoal = { is: 'word', port: guestPorts.handled, value: vector, count, ...own };
  const where = vcpu === undefined ? '' : ` on vCPU ${vcpu}`;
  const times = count === 1 ? '' : ` ${count} times`;
  const description = `${vectorName(vector)} handled${times}${where}`;
  return { ...goal(description, tells, native, false, count), handled: { vector, ...own } };
}

function goal(
  description: string,
  counts: Goal['counts'],
  native: LogGoal | null,
  waitsForExits: boolean,
  count = 1,
): Goal {
  return { description, reached: countdown(count, counts), counts, native, idle: [], waitsForExits };
}

function idleGoal(description: string, idle: readonly number[]): Goal {
  return { ...goal(description, () => false, { is: 'none' }, false), idle };
}

function doneGoal(running: readonly number[]): Goal {
  const left = new Set(running);
  const reached = ({ word, vcpu }: TraceExit) => {
    if (word?.kind === 'done') left.delete(vcpu);
    return left.size === 0;
  };
  // No other exit counts: the addon has seen all of them.
  return {
    ...goal('every vCPU done', () => false, { is: 'each', port: guestPorts.done, vcpus: running }, false),
    reached,
    ofEach: true,
  };
}

function countdown(count: number, counts: (event: TraceExit) => boolean): (event: TraceExit) => boolean {
  let left = count;
  return (event) => {
    if (counts(event)) left -= 1;
    return left <= 0;
  };
}
