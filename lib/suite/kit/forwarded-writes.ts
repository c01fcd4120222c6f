/** Guests' writes as exits tell of them, and their comparison. */
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import type { Exit, ExitOf } from '../../exit/exit.ts';

export type ForwardedExit = ExitOf<'KVM_EXIT_DSM_SEND_IRQ'>;

/** A guest's write as an exit tells of it. */
export interface ForwardedWrite {
  register: 'ICR' | 'ICR2';
  value: number;
}

const registers = new Map<number, ForwardedWrite['register']>([
  [lapicRegisters.ICR, 'ICR'],
  [lapicRegisters.ICR2, 'ICR2'],
]);

/** The exits that tell of writes. */
export function forwardedExits(exits: Iterable<Exit>): ForwardedExit[] {
  return [...exits].filter((exit) => exit.name === 'KVM_EXIT_DSM_SEND_IRQ');
}

/**
 * The write that an exit tells of, whichever of val and val2 has which: that is a claim of its own. `null`: of another
 * register. No value in a guest may be the offset of one.
 */
export function writeOf({ val, val2 }: ForwardedExit): ForwardedWrite | null {
  const [value, register] = registers.has(val) ? [val2, registers.get(val)] : [val, registers.get(val2)];
  return register ? { register, value } : null;
}

/** The writes that exits tell of, in order. */
export function forwardedWrites(exits: Iterable<Exit>): ForwardedWrite[] {
  return forwardedExits(exits).flatMap((exit) => writeOf(exit) ?? []);
}
