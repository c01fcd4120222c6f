/** Sets of lines of a file, and how they are written. */
import type { LineRange } from '../../lab/kernel/line-origins.ts';

/** Lines that stand together as one range each, in order. */
export function rangesOfLines(lines: Iterable<number>): LineRange[] {
  const ranges: [number, number][] = [];
  for (const line of [...lines].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && line <= last[1] + 1) last[1] = line;
    else ranges.push([line, line]);
  }
  return ranges;
}

export function* linesOfRanges(ranges: readonly LineRange[]): Generator<number> {
  for (const [first, last] of ranges) for (let line = first; line <= last; line++) yield line;
}

/** `12-14, 20`. */
export function rangesText(ranges: readonly LineRange[]): string {
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(', ');
}
