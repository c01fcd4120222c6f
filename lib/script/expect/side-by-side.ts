/** What was expected, and what came, side by side. */
import { plural } from '../../base/text.ts';
import type { TraceExit } from '../../trace/event.ts';
import { describeEvent } from '../../trace/text.ts';
import { describeExpected, difference, type Expected, matches } from './expected.ts';

/** So many rows are shown, from a few before the first that differs on. */
const SHOWN = 14;
const BEFORE = 3;
const WIDEST = 76;

/** What is wrong: the first line says it in short. */
export interface Mismatch {
  readonly text: string;
  /** Of the event that the first line is about, if it is about one. */
  readonly seq?: number | undefined;
}

interface Row {
  want?: Expected;
  event?: TraceExit;
  same: boolean;
}

/**
 * Both sides, row by row; the first line says what is wrong.
 *
 * @param wanted in words, where `expected` has none
 */
export function explainMismatch(
  expected: readonly Expected[],
  actual: readonly TraceExit[],
  wanted?: string,
): Mismatch {
  const rows = align(expected, actual);
  const { text, seq } = headline(rows, expected, actual);
  const lines = [text, ''];
  const left = rows.map(({ want }) => (want ? describeExpected(want) : ''));
  if (wanted && expected.length === 0) left[0] = wanted;
  const width = Math.min(WIDEST, Math.max(8, ...left.map((text) => text.length)));
  const first = rows.findIndex(({ same }) => !same);
  const from = rows.length <= SHOWN ? 0 : Math.max(0, first - BEFORE);
  lines.push(`  ${'expected'.padEnd(width)} | actual`);
  if (from > 0) lines.push(`  ${plural(from, 'row')} as expected`);
  rows.slice(from, from + SHOWN).forEach((row, index) => {
    const actual = row.event ? describeEvent(row.event) : '-';
    lines.push(`${row.same ? ' ' : '!'} ${(left[from + index] || '-').padEnd(width)} | ${actual}`);
  });
  if (rows.length > from + SHOWN) lines.push(`  and ${plural(rows.length - from - SHOWN, 'row')} more`);
  if (actual.length === 0) lines.push('  none of these kinds came');
  return { text: lines.join('\n'), seq };
}

/**
 * As many lines of a list as a report has room for.
 *
 * @param at the line that it is about
 */
export function fewOf(lines: readonly string[], at = 0): string[] {
  const from = at < SHOWN ? 0 : at - BEFORE;
  const rest = lines.length - from - SHOWN;
  return [
    ...(from > 0 ? [`  ${from} before`] : []),
    ...lines.slice(from, from + SHOWN),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ];
}

/**
 * Pairs them so that as many as can be are the same, in order. What is left over between two such pairs stands side by
 * side.
 */
function align(expected: readonly Expected[], actual: readonly TraceExit[]): Row[] {
  const rows: Row[] = [];
  let [wants, events]: [Expected[], TraceExit[]] = [[], []];
  const flush = () => {
    for (let at = 0; at < Math.max(wants.length, events.length); at++)
      rows.push({ ...(wants[at] && { want: wants[at] }), ...(events[at] && { event: events[at] }), same: false });
    [wants, events] = [[], []];
  };
  const common = commonPairs(expected, actual);
  let [i, j] = [0, 0];
  for (const [want, event] of [...common, [expected.length, actual.length] as const]) {
    while (i < want) wants.push(expected[i++]!);
    while (j < event) events.push(actual[j++]!);
    flush();
    if (i < expected.length) rows.push({ want: expected[i++]!, event: actual[j++]!, same: true });
  }
  return rows;
}

/** More cells than that are not worth the time: what differs is looked for from the begin on only. */
const CELLS = 1_000_000;

/** The longest common sequence, as pairs of positions. */
function commonPairs(expected: readonly Expected[], actual: readonly TraceExit[]): [number, number][] {
  let begin = 0;
  while (begin < expected.length && begin < actual.length && matches(expected[begin]!, actual[begin]!)) begin += 1;
  const pairs: [number, number][] = Array.from({ length: begin }, (_, at) => [at, at]);
  const [rows, columns] = [expected.length - begin, actual.length - begin];
  if (rows * columns > CELLS) return pairs;
  const best = Array.from({ length: rows + 1 }, () => new Uint32Array(columns + 1));
  for (let i = rows - 1; i >= 0; i--)
    for (let j = columns - 1; j >= 0; j--)
      best[i]![j] = matches(expected[begin + i]!, actual[begin + j]!)
        ? best[i + 1]![j + 1]! + 1
        : Math.max(best[i + 1]![j]!, best[i]![j + 1]!);
  for (let i = 0, j = 0; i < rows && j < columns; ) {
    if (matches(expected[begin + i]!, actual[begin + j]!)) pairs.push([begin + i++, begin + j++]);
    else if (best[i + 1]![j]! >= best[i]![j + 1]!) i += 1;
    else j += 1;
  }
  return pairs;
}

function headline(rows: readonly Row[], expected: readonly Expected[], actual: readonly TraceExit[]): Mismatch {
  const counts = `expected ${plural(expected.length, 'exit')}, got ${actual.length}`;
  const missing = rows.flatMap(({ same, want }) => (!same && want ? [want] : []));
  const extra = rows.flatMap(({ same, event }) => (!same && event ? [event] : []));
  const [surplus] = extra;
  if (!surplus) return { text: `${counts}: ${missing.map(describeExpected)[0]} is missing` };
  if (missing.length === 0) {
    const which = extra.length === 1 ? 'one' : `the first of ${extra.length}`;
    return { text: `${counts}: ${describeEvent(surplus)} is ${which} too many`, seq: surplus.seq };
  }
  if (areSame(missing, extra)) return wrongOrder(expected, actual);
  const first = expected.findIndex((want, at) => !actual[at] || !matches(want, actual[at]));
  const event = actual[first];
  if (first < 0 || !event) return { text: counts };
  const many = expected.length === actual.length ? '' : ` (${counts})`;
  const what = difference(expected[first]!, event);
  return {
    text: `exit ${first + 1} of ${expected.length} differs: ${what}; it is #${event.seq}${many}`,
    seq: event.seq,
  };
}

/** Whether the same came, in another order. */
function areSame(missing: readonly Expected[], extra: readonly TraceExit[]): boolean {
  if (missing.length !== extra.length) return false;
  const left = [...extra];
  return missing.every((want) => {
    const at = left.findIndex((event) => matches(want, event));
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

function wrongOrder(expected: readonly Expected[], actual: readonly TraceExit[]): Mismatch {
  const at = expected.findIndex((want, index) => !matches(want, actual[index]!));
  const want = describeExpected(expected[at]!);
  const later = actual.slice(at).find((event) => matches(expected[at]!, event));
  const instead = actual[at]!;
  const where = later ? `, as #${later.seq}` : '';
  return {
    text: `wrong order: ${want} was expected as number ${at + 1} and came later${where}; in its place came ${describeEvent(instead)}`,
    seq: (later ?? instead).seq,
  };
}
