/** The other way round: the names of a table of numbers, by number. The numbers may have gaps. */
export function namesByNumber<N extends string>(table: Readonly<Record<N, number>>): ReadonlyMap<number, N> {
  return new Map((Object.entries(table) as [N, number][]).map(([name, number]) => [number, name]));
}
