/** The machines of one run of a script: those that are open, and of the others those of which something is still to be told. */
import { forwardsIpi } from '../exit/dsm.ts';
import type { ObservedMachine } from '../script/session.ts';

/** So many of the machines that were closed last are remembered, with all that happened in them. */
const CLOSED = 2;

export class RunMachines {
  #all: ObservedMachine[] = [];
  readonly #numbers = new WeakMap<ObservedMachine, number>();
  #made = 0;

  /** A script that makes one after the other is to end in as little memory as it began with. */
  add(machine: ObservedMachine): void {
    const closed = this.#all.filter(({ vm }) => vm.closed);
    // One whose guests seem to have sent nothing is what a finding is about.
    const dropped = closed.slice(0, Math.max(0, closed.length - CLOSED)).filter(hasSent);
    if (dropped.length > 0) this.#all = this.#all.filter((one) => !dropped.includes(one));
    this.#all.push(machine);
    this.#numbers.set(machine, this.#made++);
  }

  get all(): readonly ObservedMachine[] {
    return this.#all;
  }

  /** From 0, in the order in which they were made. What happens to one while it is made comes before it is told of. */
  numberOf(machine: ObservedMachine): number {
    return this.#numbers.get(machine) ?? this.#made;
  }
}

/** Looks at one exit after the other: a trace may have millions. */
function hasSent({ trace }: ObservedMachine): boolean {
  for (const { exit } of trace) if (forwardsIpi(exit)) return true;
  return false;
}
