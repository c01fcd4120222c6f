/** The judgements for a person. */
import type { Judgement } from './judge.ts';

/** How many checks are named that caught a fault; the record has all. */
const NAMED = 4;

/** Of the checks that caught a fault those that catch the fewest faults, and how many more there are. */
export function closestOf(
  judgements: readonly Judgement[],
  caught: readonly string[],
): { named: string[]; more: number } {
  const catches = new Map<string, number>();
  for (const id of judgements.flatMap((one) => one.caught)) catches.set(id, (catches.get(id) ?? 0) + 1);
  const named = caught.toSorted((a, b) => catches.get(a)! - catches.get(b)!).slice(0, NAMED);
  return { named, more: caught.length - named.length };
}

/** One line per fault that says how many checks caught it, and names those that catch the fewest faults. */
export function tableOf(judgements: readonly Judgement[]): string {
  const rows = judgements.map(({ fault, applies, caught, withoutCause, wedged }) => {
    const { named, more } = closestOf(judgements, caught);
    if (!applies) return [fault, 'every check that it could show in is skipped on this kernel', '-'];
    const by = caught.length === 0 ? 'NOT CAUGHT' : [...named, ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
    return [fault, wedged ? `${by} (the machine died in ${wedged})` : by, withoutCause.join(', ') || '-'];
  });
  return columns([['fault', 'checks that caught it', 'checks that fired without cause'], ...rows]);
}

export function leaveOneOutTable(only: ReadonlyMap<string, readonly string[]>): string {
  const rows = [...only].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([id, faults]) => [id, faults.join(', ')]);
  return columns([['without the check', 'these faults are not caught'], ...rows]);
}

function columns(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
