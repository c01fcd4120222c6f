import { isDeepStrictEqual } from 'node:util';
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import type { Exit, ExitOf } from '../../exit/exit.ts';
import { CheckError } from '../errors.ts';

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

/** Without those that are the same as the one before: for claims that repetitions are none of. */
export function withoutRepeats<T>(things: readonly T[]): T[] {
  return things.filter((thing, at) => at === 0 || !isDeepStrictEqual(thing, things[at - 1]));
}

/** Only the first of equal ones: for claims about writes that all differ. */
export function firstOnes<T>(things: readonly T[]): T[] {
  const keys = things.map((thing) => JSON.stringify(thing));
  return things.filter((_, at) => keys.indexOf(keys[at]!) === at);
}

const MAX_ROWS = 8;

/** Throws CheckError, with a table of the first rows that differ, unless both lists are the same. `what`: plural. */
export function sameRows(what: string, actual: readonly unknown[], expected: readonly unknown[]): void {
  const length = Math.max(actual.length, expected.length);
  const wrong = Array.from({ length }, (_, at) => at).filter((at) => !isDeepStrictEqual(actual[at], expected[at]));
  if (wrong.length === 0) return;
  const head = `${what}: ${actual.length}, expected ${expected.length}; ${wrong.length} differ, first number ${wrong[0]}`;
  const rows = wrong.slice(0, MAX_ROWS).map((at) => `  ${at}: ${show(actual[at])}, expected ${show(expected[at])}`);
  throw new CheckError([head, ...rows].join('\n'));
}

function show(value: unknown): string {
  if (typeof value === 'number') return `0x${value.toString(16)}`;
  if (value === undefined) return 'none';
  if (Array.isArray(value)) return value.map(show).join(' ');
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.values(value).map(show).join(' ');
}
