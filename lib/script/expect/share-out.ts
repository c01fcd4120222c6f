/** Which of several takers each thing went to: a matching, by augmenting paths. */

/**
 * Gives each thing to one of its candidates, as far as they have room, then to the first: how many each candidate gets.
 *
 * @param candidates of each thing, by index
 * @param room of each candidate
 */
export function shareOut(candidates: readonly (readonly number[])[], room: readonly number[]): number[] {
  const held = room.map((): number[] => []);
  const place = (thing: number, tried: Set<number>): boolean => {
    for (const taker of candidates[thing]!) {
      if (tried.has(taker)) continue;
      tried.add(taker);
      const own = held[taker]!;
      if (own.length < room[taker]!) {
        own.push(thing);
        return true;
      }
      const moved = own.findIndex((other) => place(other, tried));
      if (moved < 0) continue;
      own[moved] = thing;
      return true;
    }
    return false;
  };
  const left = candidates.flatMap((_, thing) => (place(thing, new Set()) ? [] : [thing]));
  const shares = held.map(({ length }) => length);
  for (const thing of left) {
    const [first] = candidates[thing]!;
    if (first !== undefined) shares[first]! += 1;
  }
  return shares;
}
