import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, median, quantile } from '../../../bench/stats.ts';
import { table, time } from '../../../bench/table.ts';

test('a median lies between the two in the middle, in whatever order they come', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => median([]), /no values/);
});

test('quartiles', () => {
  assert.equal(quantile([1, 2, 3, 4, 5], 0.25), 2);
  assert.equal(quantile([1, 2, 3, 4], 0.75), 3.25);
  assert.equal(quantile([7], 0.25), 7);
});

test('a ratio is that of turns that were taken side by side, and not that of the medians', () => {
  // The machine got slower in the middle: for both, but not by as much at each turn.
  const compared = compare([2, 20, 30, 4], [1, 10, 10, 4]);
  assert.deepEqual(compared, { ours: 12, reference: 7, ratio: 2, spread: [1.75, 2.25], least: 2, turns: 4 });
  assert.throws(() => compare([1], [1, 2]), /1 turns of one, 2 of the other/);
});

test('times have three digits and the unit that suits', () => {
  assert.deepEqual([3, 999, 1240, 21_900, 3_930_000].map(time), ['3 ns', '999 ns', '1.24 us', '21.9 us', '3.93 ms']);
});

test('a table has columns of one width', () => {
  const text = table([
    ['case', 'C'],
    ['run-pio (exit)', '1.24 us'],
  ]);
  assert.equal(text, 'case                  C\nrun-pio (exit)  1.24 us');
});
