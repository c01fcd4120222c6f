/** When a run is over. */
import { vectorIn, vectorName } from '../../abi/exceptions.ts';
import { checkChoice, checkInteger, checkObject, checkText } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';
import type { Exit } from '../../exit/exit.ts';
import type { TraceExit } from '../../trace/event.ts';

/**
 * When a run is over: a sync point of the guest, by name or number; an access to a port; the n-th exit of a kind (counted
 * in this run); n exits of any kind; a fault that the program did not handle, by vector or by name (`'#GP'`); every
 * vCPU done; every vCPU, or the ones that are named, idle in HLT; or what a function says.
 */
export type Until =
  | { sync: string | number; count?: number; vcpu?: number }
  | { port: number; vcpu?: number }
  | { exit: Exit['name']; count?: number; vcpu?: number }
  | { exits: number }
  | { fault: string | number; vcpu?: number }
  | { halted: number | readonly number[] }
  | 'done'
  | 'halted'
  | ((event: TraceExit) => boolean);

/** One run's end. */
export interface Goal {
  /** Asked about each exit of the run, in order: is the run over with it? */
  reached(event: TraceExit): boolean;
  /** The vCPUs that have to be idle in HLT for the run to be over; none: being idle ends no run. */
  readonly idle: readonly number[];
  /** For a message. */
  readonly description: string;
  /** True if it waits for exits that KVM may or may not make, and not for the guest's own words. */
  readonly waitsForExits: boolean;
}

/** @param running the vcpu_ids that take part */
export function goalOf(until: Until, running: readonly number[]): Goal {
  if (typeof until === 'function') return exitGoal('the exit that the script waits for', until);
  if (until === 'halted') return idleGoal('every vCPU idle in HLT', running);
  if (until === 'done') return doneGoal(running);
  checkObject('until', until);
  if ('halted' in until) {
    const ids = [until.halted].flat();
    for (const id of ids) checkChoice('until.halted', id, running);
    return idleGoal(`vCPU ${ids.join(' and ')} idle in HLT`, ids);
  }
  return exitsGoal(until);
}

function exitsGoal(until: Exclude<Until, string | ((event: TraceExit) => boolean) | { halted: unknown }>): Goal {
  if ('exits' in until) {
    const goal = countdown(until.exits, () => true);
    return exitGoal(`${until.exits} exits`, goal);
  }
  const { vcpu } = until;
  if (vcpu !== undefined) checkInteger('until.vcpu', vcpu, 0, 0xffff_ffff);
  const from = vcpu === undefined ? '' : ` of vCPU ${vcpu}`;
  const isFrom = (event: TraceExit) => vcpu === undefined || event.vcpu === vcpu;
  if ('port' in until) {
    checkInteger('port', until.port, 0, 0xffff);
    const uses = ({ exit }: TraceExit) => exit.name === 'KVM_EXIT_IO' && exit.port === until.port;
    const goal = countdown(1, (event) => uses(event) && isFrom(event));
    return wordGoal(`an access${from} to port 0x${until.port.toString(16)}`, goal);
  }
  if ('sync' in until) {
    const { sync: name, count = 1 } = until;
    if (typeof name !== 'string') checkInteger('until.sync', name, 0, 0xffff_ffff);
    const says = ({ word }: TraceExit) => word?.kind === 'sync' && word.name === name;
    const goal = countdown(count, (event) => says(event) && isFrom(event));
    return wordGoal(`${count === 1 ? '' : `${count} x `}sync point ${JSON.stringify(name)}${from}`, goal);
  }
  if ('fault' in until) {
    const vector = vectorIn('until.fault', until.fault);
    const faults = ({ word }: TraceExit) => word?.kind === 'fault' && word.vector === vector;
    const goal = countdown(1, (event) => faults(event) && isFrom(event));
    return wordGoal(`${vectorName(vector)}${from}`, goal);
  }
  const { exit: name, count = 1 } = until;
  checkText('until.exit', name);
  const goal = countdown(count, (event) => event.exit.name === name && isFrom(event));
  return exitGoal(`${count} x ${name}${from}`, goal);
}

function exitGoal(description: string, reached: Goal['reached']): Goal {
  return { description, reached, idle: [], waitsForExits: true };
}

function wordGoal(description: string, reached: Goal['reached']): Goal {
  return { description, reached, idle: [], waitsForExits: false };
}

function idleGoal(description: string, idle: readonly number[]): Goal {
  return { description, idle, reached: () => false, waitsForExits: false };
}

function doneGoal(running: readonly number[]): Goal {
  const left = new Set(running);
  return wordGoal('every vCPU done', ({ word, vcpu }) => {
    if (word?.kind === 'done') left.delete(vcpu);
    return left.size === 0;
  });
}

function countdown(count: number, counts: (event: TraceExit) => boolean): (event: TraceExit) => boolean {
  if (!Number.isInteger(count) || count < 1)
    throw new ArgumentError('until', `${show(count)} is not a number of exits`, 'Wait for at least one exit.');
  let left = count;
  return (event) => {
    if (counts(event)) left -= 1;
    return left <= 0;
  };
}
