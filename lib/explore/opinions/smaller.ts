/** Differences made smaller: shorter histories that end in the same way, all of them in one boot. */
import type { OpinionDifference } from './compare.ts';
import { inOrder } from './draw.ts';
import { type OwnHistory, ROOM } from './guest.ts';

/** A difference, and the shortest history that showed it. */
export interface Small {
  /** As it was found. */
  found: OpinionDifference;
  difference: OpinionDifference;
  history: OwnHistory;
}

/** Bytes of the longest of them: four operations. */
const MOST_BYTES = 5 * 16;

/** @param askAbout gives the differences of each history */
export async function smaller(
  differences: readonly OpinionDifference[],
  histories: readonly OwnHistory[],
  askAbout: (histories: readonly OwnHistory[]) => Promise<OpinionDifference[][]>,
): Promise<Small[]> {
  const whole = differences.map((difference): Small => {
    const history = histories[difference.history]!;
    return {
      found: difference,
      difference,
      history: { ...history, operations: history.operations.slice(0, difference.at) },
    };
  });
  const candidates = whole.flatMap(({ history }, number) => shorter(history).map((one) => ({ ...one, number })));
  // As many as fit into one boot.
  const tried = inOrder(candidates.slice(0, Math.floor(ROOM / MOST_BYTES)));
  if (tried.length === 0) return whole;
  const found = await askAbout(tried);
  return whole.map((one, number) => {
    const shown = tried.flatMap((history, at): Small[] => {
      const same = history.number === number && found[at]!.find((other) => isSame(other, one.difference));
      return same ? [{ found: one.found, difference: same, history: { ...history, number: one.history.number } }] : [];
    });
    return shown.reduce(
      (best, other) => (other.history.operations.length < best.history.operations.length ? other : best),
      one,
    );
  });
}

/** Who stands alone may change: of those who had parted before some say something now. */
const isSame = (one: OpinionDifference, other: OpinionDifference) =>
  one.known.length === 0 &&
  one.mode === other.mode &&
  one.field === other.field &&
  one.register === other.register &&
  one.operation?.do === other.operation?.do;

/** The first, at most two of those between, and the last. */
function shorter({ operations, ...history }: OwnHistory): OwnHistory[] {
  const first = operations.slice(0, 1);
  const last = operations.slice(1).slice(-1);
  const between = operations.slice(1, -1);
  const pairs = between.flatMap((one, at) => [[one], ...between.slice(at + 1).map((other) => [one, other])]);
  return [[], ...pairs]
    .map((some) => ({ ...history, operations: [...first, ...some, ...last] }))
    .filter((one) => one.operations.length < operations.length);
}
