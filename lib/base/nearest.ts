/** Did you mean ...: the entry of a list that differs from a word by the fewest typing slips. */

/** Advice: the nearest of `known` to `word`; else those that share a whole word with it; else `otherwise`. */
export function suggest(word: string, known: Iterable<string>, otherwise: string): string {
  const found = nearest(word, known);
  if (found !== undefined) return `Did you mean ${found}?`;
  const related = [...known].filter((entry) => isPartOf(word, entry) || isPartOf(entry, word));
  return related.length > 0 && related.length <= 3 ? `Did you mean ${related.join(' or ')}?` : otherwise;
}

/** `mode` of `deliveryMode`, `apic` of `apicMode`: a name at the begin or the end of another one. */
function isPartOf(part: string, whole: string): boolean {
  const [short, long] = [part.toLowerCase(), whole.toLowerCase()];
  return short.length >= 3 && (long.startsWith(short) || long.endsWith(short));
}

/** The entry that differs by the fewest typing slips, if by few enough. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase();
  if (wanted.length > 40) return undefined;
  let best: string | undefined;
  let bestSlips = Math.min(2, Math.floor((wanted.length + 1) / 2)) + 1;
  for (const entry of known) {
    if (Math.abs(entry.length - wanted.length) >= bestSlips) continue;
    const slips = distance(wanted, entry.toLowerCase());
    if (slips < bestSlips) {
      best = entry;
      bestSlips = slips;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, beforeLast[j - 2]! + 1);
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
