/** How the matrix and the replays put states and writes together. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../../../lib/index.ts';
import { Deck } from '../../../lib/suite/subjects/injection/states/drawn.ts';
import { Draw } from '../../../lib/suite/subjects/matrix/drawn.ts';
import type { Axis } from '../../../lib/suite/subjects/matrix/row.ts';

const axis = (name: string, count: number, alone: readonly string[] = []): Axis => ({
  name,
  title: name,
  rows: Array.from({ length: count }, (_, n) => ({ name: `${n}`, what: '', source: '', alone, apply() {} })),
});

const scenes = (axes: readonly Axis[], count: number, seed = 1) => {
  const draw = new Draw(axes);
  const ctx = { random: new Random(seed) };
  return Array.from({ length: count }, () => draw.next(ctx).map((row) => `${row.axis}.${row.name}`));
};

describe('scenes', () => {
  test('are the same for the same seed, and have a row of an axis at most', () => {
    const axes = [axis('a', 3), axis('b', 4), axis('c', 2)];
    assert.deepEqual(scenes(axes, 20, 7), scenes(axes, 20, 7));
    assert.notDeepEqual(scenes(axes, 20, 7), scenes(axes, 20, 8));
    for (const names of scenes(axes, 50)) {
      const of = names.map((name) => name[0]);
      assert.deepEqual(of, [...new Set(of)].sort());
    }
  });

  test('have each row as often as its neighbours', () => {
    const counts = new Map<string, number>();
    for (const name of scenes([axis('a', 6), axis('b', 9)], 120).flat()) counts.set(name, (counts.get(name) ?? 0) + 1);
    const of = (letter: string) => [...counts].flatMap(([name, count]) => (name[0] === letter ? count : []));
    for (const [letter, rows] of [
      ['a', 6],
      ['b', 9],
    ] as const) {
      assert.equal(of(letter).length, rows);
      assert.ok(Math.max(...of(letter)) - Math.min(...of(letter)) <= 1, `${of(letter)}`);
    }
  });

  test('have new pairs before old ones', () => {
    // By chance 16 of 25 would be new.
    for (const seed of [1, 2, 3, 4, 5]) {
      const both = scenes([axis('a', 5), axis('b', 5)], 200, seed).filter((names) => names.length === 2);
      assert.ok(new Set(both.slice(0, 25).map((names) => names.join())).size > 20, `seed ${seed}`);
    }
  });

  test('have a row of a rare axis now and then alone', () => {
    const names = scenes([{ ...axis('a', 2), rare: 10 }, axis('b', 4)], 500).flat();
    const count = names.filter((name) => name.startsWith('a')).length;
    assert.ok(count > 25 && count < 75, `${count}`);
  });

  test('have no two rows that do not go together', () => {
    for (const names of scenes([axis('a', 3, ['b']), axis('b', 3), axis('c', 3)], 60))
      assert.ok(new Set(names.map((name) => name[0])).size < 3, names.join());
  });
});

test('a deck has each of its elements once before one comes again', () => {
  const deck = new Deck(new Random(3), [1, 2, 3, 4, 5]);
  const rounds = [0, 1, 2].map(() => Array.from({ length: 5 }, () => deck.next()));
  for (const round of rounds) assert.deepEqual(round.toSorted(), [1, 2, 3, 4, 5]);
  assert.ok(rounds.some((round) => round.join() !== rounds[0]!.join()));
});
