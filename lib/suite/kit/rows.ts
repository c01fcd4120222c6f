/** Lists that are compared row by row. */
import { isDeepStrictEqual } from 'node:util';
import { CheckError } from '../errors.ts';

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
  const rows = wrong.slice(0, MAX_ROWS).map((at) => `  ${at}: ${cell(actual[at])}, expected ${cell(expected[at])}`);
  throw new CheckError([head, ...rows].join('\n'));
}

function cell(value: unknown): string {
  if (typeof value === 'number') return `0x${value.toString(16)}`;
  if (value === undefined) return 'none';
  if (Array.isArray(value)) return value.map(cell).join(' ');
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.values(value).map(cell).join(' ');
}
