import { checkInteger, checkObject, checkText } from '../check.ts';
import { ArgumentError } from '../errors.ts';
import type { Exit } from '../exit.ts';
import { show } from '../show.ts';
import type { TraceExit } from './event.ts';

/**
 * When a run is over: an access to a port; the n-th exit of a kind (counted in this run); n exits of any kind; every
 * vCPU idle in HLT; or what a function says.
 */
export type Until =
  | { port: number; vcpu?: number }
  | { exit: Exit['name']; count?: number; vcpu?: number }
  | { exits: number }
  | 'halted'
  | ((event: TraceExit) => boolean);

/** A function that is asked after each exit of one run, in order. */
export function untilExit(until: Until): (event: TraceExit) => boolean {
  if (typeof until === 'function') return until;
  if (until === 'halted') return () => false;
  checkObject('until', until);
  if ('port' in until) {
    checkInteger('port', until.port, 0, 0xffff);
    const { port, vcpu } = until;
    return ({ exit, vcpu: from }) => exit.name === 'KVM_EXIT_IO' && exit.port === port && (vcpu ?? from) === from;
  }
  if ('exits' in until) return countdown(until.exits, () => true);
  const { exit: name, vcpu } = until;
  checkText('until.exit', name);
  return countdown(until.count ?? 1, (event) => event.exit.name === name && (vcpu ?? event.vcpu) === event.vcpu);
}

/** What a run waited for, for a message. */
export function describeUntil(until: Until): string {
  if (typeof until === 'function') return 'the exit that the script waits for';
  if (until === 'halted') return 'every vCPU idle in HLT';
  if ('port' in until) return `an access to port 0x${until.port.toString(16)}`;
  if ('exits' in until) return `${until.exits} exits`;
  return `${until.count ?? 1} x ${until.exit}`;
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
