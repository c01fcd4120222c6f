// The arithmetic of the benchmarks.

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Between the two values that it lies between. */
export function quantile(values: readonly number[], part: number): number {
  if (values.length === 0) throw new Error('no values');
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const below = Math.floor(at);
  const low = sorted[below]!;
  return low + (sorted[Math.min(below + 1, sorted.length - 1)]! - low) * (at - below);
}

/** What two sides that took turns came to. */
export interface Compared {
  /** Medians, in the unit that was given. */
  readonly ours: number;
  readonly reference: number;
  /** The median of the ratios of each turn, which were taken side by side. */
  readonly ratio: number;
  /** Between which the middle half of those ratios lies. */
  readonly spread: readonly [number, number];
  /** The ratio of the least of each: what is left where others disturb one turn and not the next. */
  readonly least: number;
  readonly turns: number;
}

/** @param ours one value a turn, as `reference` has it */
export function compare(ours: readonly number[], reference: readonly number[]): Compared {
  if (ours.length !== reference.length)
    throw new Error(`${ours.length} turns of one, ${reference.length} of the other`);
  const ratios = ours.map((value, turn) => value / reference[turn]!);
  return {
    ours: median(ours),
    reference: median(reference),
    ratio: median(ratios),
    spread: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    least: Math.min(...ours) / Math.min(...reference),
    turns: ours.length,
  };
}
