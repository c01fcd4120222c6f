import { isDeepStrictEqual } from 'node:util';
import type { Exit } from '../exit.ts';
import { describeEvent, type TraceExit } from './event.ts';

type DeepPartial<T> = T extends object ? { [K in keyof T]?: DeepPartial<T[K]> } : T;
type ExpectedExit<E> = E extends { name: infer N } ? { name: N } & DeepPartial<Omit<E, 'name'>> : never;

/** An exit by the fields that matter to a test; `vcpu` and `rip` say who and where. */
export type Expected = ExpectedExit<Exit> & { vcpu?: number; rip?: bigint };

/** True if every field that `want` gives is so in `event`. */
export function matches(want: Expected, event: TraceExit): boolean {
  const { vcpu, rip, ...exit } = want;
  if (vcpu !== undefined && vcpu !== event.vcpu) return false;
  if (rip !== undefined && rip !== event.rip) return false;
  return includes(exit, event.exit);
}

function includes(want: unknown, actual: unknown): boolean {
  const plain = typeof want === 'object' && want !== null && !ArrayBuffer.isView(want) && !Array.isArray(want);
  if (!plain) return isDeepStrictEqual(want, actual);
  if (typeof actual !== 'object' || actual === null) return false;
  return Object.entries(want).every(([key, value]) => includes(value, (actual as Record<string, unknown>)[key]));
}

/** Both sides, line by line; the first line says what is wrong. */
export function explainMismatch(expected: readonly Expected[], actual: readonly TraceExit[], wanted?: string): string {
  const lines = [headline(expected, actual)];
  lines.push('', `expected${wanted ? ` ${wanted}` : ''}:`);
  for (const want of expected) lines.push(`  ${describeExpected(want)}`);
  if (expected.length === 0 && !wanted) lines.push('  nothing');
  lines.push('actual:');
  actual.forEach((event, i) => {
    const want = expected[i];
    lines.push(`${want && matches(want, event) ? ' ' : '!'} ${describeEvent(event)}`);
  });
  if (actual.length === 0) lines.push('  none of these kinds');
  return lines.join('\n');
}

function headline(expected: readonly Expected[], actual: readonly TraceExit[]): string {
  const first = expected.findIndex((want, i) => !actual[i] || !matches(want, actual[i]));
  if (first >= 0 && actual[first])
    return `exit ${first + 1} of ${expected.length} differs: ${difference(expected[first]!, actual[first])}`;
  if (first >= 0)
    return `expected ${plural(expected.length)}, got ${actual.length}: ${describeExpected(expected[first]!)} is missing`;
  return `expected ${plural(expected.length)}, got ${actual.length}`;
}

function difference(want: Expected, event: TraceExit): string {
  const actual: Record<string, unknown> = { ...event.exit, vcpu: event.vcpu, rip: event.rip };
  const wrong = Object.entries(want).filter(([key, value]) => !includes(value, actual[key]));
  return wrong.map(([key, value]) => `${key} is ${show(actual[key])}, expected ${show(value)}`).join('; ');
}

function describeExpected(want: Expected): string {
  const { name, ...fields } = want;
  const parts = Object.entries(fields).map(([key, value]) => `${key} ${show(value)}`);
  return [name, ...parts].join(', ');
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `0x${v.toString(16)}` : v)) ?? String(value);
}

function plural(count: number): string {
  return count === 1 ? '1 exit' : `${count} exits`;
}
