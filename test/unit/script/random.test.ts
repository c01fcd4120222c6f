/** Repeatable random choices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../lib/index.ts';

const letters = ['a', 'b', 'c', 'd'];

test('a seed decides the choices', () => {
  const drawn = (seed: number) => {
    const random = new Random(seed);
    return [random.integer(0, 1e9), random.pick(letters), random.shuffle(letters), [...random.bytes(4)]];
  };
  assert.deepEqual(drawn(7), drawn(7));
  assert.notDeepEqual(drawn(7), drawn(8));
});

test('shuffle gives the same elements, each at each place in its turn, and leaves its list alone', () => {
  const random = new Random(1);
  const seen = new Map<string, number>();
  for (let i = 0; i < 2400; i++) {
    const shuffled = random.shuffle(letters);
    assert.deepEqual(shuffled.toSorted(), letters);
    const order = shuffled.join('');
    seen.set(order, (seen.get(order) ?? 0) + 1);
  }
  assert.deepEqual(letters, ['a', 'b', 'c', 'd']);
  assert.equal(seen.size, 24);
  // 100 of each are expected; the seed is fixed, so that this is no matter of luck.
  for (const [order, times] of seen) assert.ok(times > 60 && times < 140, `${order}: ${times} times`);
});

test('integer draws both ends', () => {
  const random = new Random(2);
  const drawn = new Set(Array.from({ length: 200 }, () => random.integer(3, 5)));
  assert.deepEqual([...drawn].toSorted(), [3, 4, 5]);
});

test('what is no seed, range or list is refused', () => {
  const refused = { name: 'ArgumentError', code: 'ERR_ARGUMENT' };
  const random = new Random(0);
  for (const seed of [-1, 2 ** 32, 0.5]) assert.throws(() => new Random(seed), refused);
  assert.throws(() => random.integer(2, 1), refused);
  assert.throws(() => random.pick([]), refused);
  assert.throws(() => random.shuffle('abc' as never), refused);
  assert.throws(() => random.bytes(-1), refused);
});
