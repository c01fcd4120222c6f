/** What was expected, and what came, side by side. */
import { describeEvent, type TraceExit } from '../../trace/event.ts';
import { describeExpected, difference, type Expected, matches, plural } from './expected.ts';

/** So many rows are shown, from a few before the first that differs on. */
const SHOWN = 14;
const BEFORE = 3;
const WIDEST = 76;

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
export function explainMismatch(expected: readonly Expected[], actual: readonly TraceExit[], wanted?: string): string {
  const rows = align(expected, actual);
  const lines = [headline(rows, expected, actual), ''];
  const left = rows.map(({ want }) => (want ? describeExpected(want) : ''));
  if (wanted && expected.length === 0) left[0] = wanted;
  const width = Math.min(WIDEST, Math.max(8, ...left.map((text) => text.length)));
  const first = rows.findIndex(({ same }) => !same);
  const from = rows.length <= SHOWN ? 0 : Math.max(0, first - BEFORE);
  lines.push(`  ${'expected'.padEnd(width)} | actual`);
  if (from > 0) lines.push(`  ${from} rows as expected`);
  rows.slice(from, from + SHOWN).forEach((row, index) => {
    const actual = row.event ? describeEvent(row.event) : '-';
    lines.push(`${row.same ? ' ' : '!'} ${(left[from + index] || '-').padEnd(width)} | ${actual}`);
  });
  if (rows.length > from + SHOWN) lines.push(`  and ${rows.length - from - SHOWN} rows more`);
  if (actual.length === 0) lines.push('  none of these kinds came');
  return lines.join('\n');
}

/** As many lines of a list as a report has room for. */
export function fewOf(lines: readonly string[]): string[] {
  return lines.length <= SHOWN ? [...lines] : [...lines.slice(0, SHOWN), `  and ${lines.length - SHOWN} more`];
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

function headline(rows: readonly Row[], expected: readonly Expected[], actual: readonly TraceExit[]): string {
  const counts = `expected ${plural(expected.length)}, got ${actual.length}`;
  const missing = rows.flatMap(({ same, want }) => (!same && want ? [want] : []));
  const extra = rows.flatMap(({ same, event }) => (!same && event ? [event] : []));
  if (extra.length === 0) return `${counts}: ${missing.map(describeExpected)[0]} is missing`;
  if (missing.length === 0)
    return `${counts}: ${describeEvent(extra[0]!)} is ${extra.length === 1 ? 'one' : `the first of ${extra.length}`} too many`;
  if (areSame(missing, extra)) return wrongOrder(expected, actual);
  const first = expected.findIndex((want, at) => !actual[at] || !matches(want, actual[at]));
  const event = actual[first];
  if (first < 0 || !event) return counts;
  const many = expected.length === actual.length ? '' : ` (${counts})`;
  return `exit ${first + 1} of ${expected.length} differs: ${difference(expected[first]!, event)}; it is #${event.seq}${many}`;
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

function wrongOrder(expected: readonly Expected[], actual: readonly TraceExit[]): string {
  const at = expected.findIndex((want, index) => !matches(want, actual[index]!));
  const want = describeExpected(expected[at]!);
  const later = actual.slice(at).find((event) => matches(expected[at]!, event));
  const instead = describeEvent(actual[at]!);
  return `wrong order: ${want} was expected as number ${at + 1} and came later${later ? `, as #${later.seq}` : ''}; in its place came ${instead}`;
}
