import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cases } from '../../../bench/cases/index.ts';
import { MARK, madePart, madePicture, page, picture } from '../../../bench/page/page.ts';
import { plot } from '../../../bench/page/plot.ts';
import { figureMeaning, meaning } from '../../../bench/page/words.ts';

test('docs/performance.md has the figures that the bench wrote down', () => {
  assert.equal(readFileSync(page, 'utf8').split(MARK)[1], madePart(), 'npm run docs:performance');
  assert.equal(readFileSync(picture, 'utf8'), madePicture(), 'npm run docs:performance');
});

test('each case says what it means to a user', () => {
  assert.deepEqual(cases.map(({ name }) => name).toSorted(), Object.keys(meaning).toSorted());
  assert.deepEqual(Object.keys(figureMeaning).toSorted(), ['first-exit', 'memory', 'start']);
});

test('a bar is as long as the logarithm of its ratio, and an aim stands where it is', () => {
  const svg = plot('title', [
    { name: 'one', ratio: 1, aim: undefined },
    { name: 'ten', ratio: 10, aim: 10 },
    { name: 'hundred', ratio: 100, aim: undefined },
  ]);
  const widths = [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
  // Nothing is shorter than what can be seen.
  assert.deepEqual(widths, [1, 280, 560]);
  assert.match(svg, /<line x1="450.0" x2="450.0" [^>]*stroke="#c00"/);
});
