// A case in turns: JavaScript and C, one block each, first one and then the other.
import type { Case } from './cases/case.ts';
import type { Side } from './side.ts';
import { type Compared, compare } from './stats.ts';

export interface Measured {
  readonly name: string;
  readonly unit: Case['unit'];
  readonly aim: number | undefined;
  /** Nanoseconds of one, by the clock and of the process' own time. */
  readonly wall: Compared;
  readonly cpu: Compared;
}

export interface Effort {
  readonly turns: number;
  /** Of the counts of each case. */
  readonly share: number;
}

/** Null if one of the sides does not have the case. */
export async function takeTurns(
  one: Case,
  ours: Side,
  reference: Side,
  { turns, share }: Effort,
): Promise<Measured | null> {
  const count = Math.max(4, Math.round(one.count * share));
  const taken: { wall: number[]; cpu: number[] }[] = [ours, reference].map(() => ({ wall: [], cpu: [] }));
  for (let turn = -WARM; turn < turns; turn++) {
    // Who goes first changes, too.
    for (const which of turn % 2 ? [1, 0] : [0, 1]) {
      const block = await [ours, reference][which]!.block(one.name, count);
      if (!block) return null;
      if (turn < 0) continue;
      taken[which]!.wall.push(block.wall / block.count);
      taken[which]!.cpu.push(block.cpu / block.count);
    }
  }
  const [js, c] = taken as [(typeof taken)[0], (typeof taken)[0]];
  return {
    name: one.name,
    unit: one.unit,
    aim: one.aim,
    wall: compare(js.wall, c.wall),
    cpu: compare(js.cpu, c.cpu),
  };
}

/** Turns before it counts, in which code is compiled. */
const WARM = 2;
