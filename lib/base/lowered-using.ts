/** What esbuild makes of `using`, mended. */

const token = /\bvar ([\w$]+)\s*=\s*\[\]|__callDispose\d*\(([\w$]+),\s*([\w$]+),\s*([\w$]+)\)/g;

/**
 * Where `using` is not known to the runtime, esbuild keeps a block's resources in an array, and in two `var`s whether, and
 * by what, the block was left. It never clears these: in a loop an error of one round, caught long ago, is thrown again at
 * the end of each later round. Here each array that begins takes its two variables along. No line is added or removed.
 */
export function mendLoweredUsing(code: string): string {
  /** By the array's name: where in the text the arrays began that nobody has disposed of yet. */
  const begun = new Map<string, number[]>();
  const insertions: { at: number; text: string }[] = [];
  for (const match of code.matchAll(token)) {
    const [whole, began, disposed, error, hasError] = match;
    if (began !== undefined) {
      const places = begun.get(began) ?? [];
      places.push(match.index + whole.length);
      begun.set(began, places);
      continue;
    }
    // The helper's own definition has no array before it.
    const at = begun.get(disposed!)?.pop();
    if (at !== undefined) insertions.push({ at, text: `, ${error} = void 0, ${hasError} = false` });
  }
  let mended = '';
  let from = 0;
  for (const { at, text } of insertions.sort((a, b) => a.at - b.at)) {
    mended += code.slice(from, at) + text;
    from = at;
  }
  return mended + code.slice(from);
}
