import { isDeepStrictEqual } from 'node:util';
import { checkObject, checkText } from '../check.ts';
import type { Exit } from '../exit.ts';
import { vectorIn, vectorName } from '../guest/exceptions.ts';
import { describeEvent, type TraceExit } from './event.ts';

type DeepPartial<T> = T extends object ? { [K in keyof T]?: DeepPartial<T[K]> } : T;
type ExpectedExit<E> = E extends { name: infer N } ? { name: N } & DeepPartial<Omit<E, 'name'>> : never;

/** What a guest says: a sync point, a value (`is`: 32 bits), that it is done, a fault by vector. */
type ExpectedWord =
  | { sync: string | number }
  | { value: string | number; is?: number }
  | { done: true }
  | { fault: string | number };

/** An exit, or a guest's word, by the fields that matter to a test; `vcpu` and `rip` say who and where. */
export type Expected = (ExpectedExit<Exit> | ExpectedWord) & { vcpu?: number; rip?: bigint };

/** Throws ArgumentError unless it names an exit or a word. */
export function checkExpected(want: Expected): Expected {
  checkObject('expected', want);
  if (!words.some((word) => word in want)) checkText('name', (want as { name: string }).name);
  if ('fault' in want) vectorIn('fault', want.fault);
  return want;
}

const words = ['sync', 'value', 'done', 'fault'] as const;

/** What kind of event it is about: an exit's name, or a word. */
export function kindOf(want: Expected): string {
  return words.find((word) => word in want) ?? (want as { name: string }).name;
}

/** True if the event is of one of these kinds. */
export function isOfKind(kinds: ReadonlySet<string>, { exit, word }: TraceExit): boolean {
  return kinds.has(exit.name) || (word !== undefined && kinds.has(word.kind));
}

/** True if every field that `want` gives is so in `event`. */
export function matches(want: Expected, event: TraceExit): boolean {
  const { vcpu, rip, ...what } = want;
  if (vcpu !== undefined && vcpu !== event.vcpu) return false;
  if (rip !== undefined && rip !== event.rip) return false;
  const { word } = event;
  if ('sync' in what) return word?.kind === 'sync' && word.name === what.sync;
  if ('value' in what)
    return word?.kind === 'value' && word.name === what.value && (what.is ?? word.value) === word.value;
  if ('done' in what) return word?.kind === 'done';
  if ('fault' in what) return word?.kind === 'fault' && word.vector === vectorIn('fault', what.fault);
  return includes(what, event.exit);
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
  const actual: Record<string, unknown> = { ...event.exit, ...spoken(event), vcpu: event.vcpu, rip: event.rip };
  const wrong = Object.entries(want).filter(([key, value]) => !includes(value, actual[key]));
  return wrong.map(([key, value]) => `${key} is ${show(actual[key])}, expected ${show(value)}`).join('; ');
}

/** A guest's word under the names that an expectation has for it. */
function spoken({ word }: TraceExit): Record<string, unknown> {
  if (word?.kind === 'sync') return { sync: word.name };
  if (word?.kind === 'value') return { value: word.name, is: word.value };
  if (word?.kind === 'fault') return { fault: vectorName(word.vector) };
  return word?.kind === 'done' ? { done: true } : {};
}

export function describeExpected(want: Expected): string {
  const { name, ...fields } = want as { name?: string };
  const parts = Object.entries(fields).map(([key, value]) => `${key} ${show(value)}`);
  return [...(name === undefined ? [] : [name]), ...parts].join(', ');
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `0x${v.toString(16)}` : v)) ?? String(value);
}

export function plural(count: number): string {
  return count === 1 ? '1 exit' : `${count} exits`;
}
