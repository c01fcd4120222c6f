/** Which of several takers each thing went to: a matching, by augmenting paths. */

/**
 * Gives each thing to one of its candidates, as far as they have room, then to the first: the candidate of each thing, by
 * index; `undefined` for one that has none.
 *
 * @param candidates of each thing, by index
 * @param room of each candidate
 */
export function shareOut(
  candidates: readonly (readonly number[])[],
  room: readonly number[],
): readonly (number | undefined)[] {
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
  candidates.forEach((_, thing) => void place(thing, new Set()));
  const takers = candidates.map(([first]): number | undefined => first);
  held.forEach((things, taker) => {
    for (const thing of things) takers[thing] = taker;
  });
  return takers;
}
