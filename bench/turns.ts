// Cases in turns: JavaScript and C, one block each, first one and then the other.
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

/** No block takes much longer, in nanoseconds: where an exit costs more there are fewer of them. */
const LONGEST_BLOCK = 100e6;
/** Turns before it counts, in which code is compiled: V8 optimises some of it only after tens of thousands of exits. */
const WARM = 8;
const FEWEST = 4;
/** Nor are there fewer than this part of what the case says: what a block takes by itself would be all that is seen. */
const LEAST_SHARE = 0.1;

/** Null if one of the sides does not have the case. */
export async function takeTurns(one: Case, ours: Side, reference: Side, effort: Effort): Promise<Measured | null> {
  const { turns, share } = effort;
  // Each vCPU has one.
  const fewest = Math.max(FEWEST, one.vcpus ?? 1);
  let count = Math.max(fewest, Math.round(one.count * share));
  const sides = [ours, reference].map((side) => ({ side, wall: [] as number[], cpu: [] as number[] }));
  for (let turn = -WARM; turn < turns; turn++) {
    let slowest = 0;
    // Who goes first changes, too. JavaScript knows what cannot be done here.
    for (const which of turn > 0 && turn % 2 ? [1, 0] : [0, 1]) {
      const { side, wall, cpu } = sides[which]!;
      const block = await side.block(one.name, count);
      if (!block) return null;
      slowest = Math.max(slowest, block.wall);
      if (turn < 0) continue;
      wall.push(block.wall / block.count);
      cpu.push(block.cpu / block.count);
    }
    const fitting = Math.min(1, Math.max(LEAST_SHARE, LONGEST_BLOCK / slowest));
    if (turn === -WARM) count = Math.max(fewest, Math.round(count * fitting));
  }
  const [js, c] = sides as [(typeof sides)[0], (typeof sides)[0]];
  return {
    name: one.name,
    unit: one.unit,
    aim: one.aim,
    wall: compare(js.wall, c.wall),
    cpu: compare(js.cpu, c.cpu),
  };
}
