/** Exits as rows that can be compared. */
import type { Exit } from '../../../exit/exit.ts';
import { forwardedExits } from '../../kit/forwarded-writes.ts';
import { firstOnes } from '../../kit/rows.ts';
import { SLOT } from '../../kit/sources.ts';
import { writesIn } from '../../kit/writers.ts';

export const EXITS = `${SLOT}; Documentation/virt/kvm/api.rst 5: an exit is of the instruction before RIP`;

/** No exception, and no vector of the PIC. */
export const VECTOR = 0xe0;

/**
 * What came out, in order: a write as its value, another exit as `other`. Of what came twice only the first.
 *
 * @param other what to call another exit; `null`: it does not count
 */
export function line(exits: readonly Exit[], other: (exit: Exit) => string | null): (number | string)[] {
  const all = exits.map(
    (exit) => (forwardedExits([exit]).length > 0 ? writesIn([exit])[0]?.value : other(exit)) ?? null,
  );
  return firstOnes(all.filter((one) => one !== null));
}

export const mmio = (exit: Exit) =>
  exit.name === 'KVM_EXIT_MMIO' ? `${exit.isWrite ? 'write' : 'read'} of 0x${exit.physAddr.toString(16)}` : exit.name;
