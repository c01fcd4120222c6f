/** What lies in the cache by name: which of it is kept, and what is left of what was not finished. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepLastUsed, makingFolder, markUsed } from '../../../lib/lab/cached.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();

test('of what counts the current one is kept, and those that were used last', () => {
  const folder = join(work, 'used');
  // The names are in another order than the times.
  for (const [second, name] of ['c.iso', 'a.iso', 'd.iso', 'b.iso', 'e.txt'].entries()) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, 'file'), '');
    utimesSync(join(folder, name), second, second);
  }
  markUsed(join(folder, 'a.iso'));
  assert.ok(statSync(join(folder, 'a.iso')).mtimeMs > 10_000);
  keepLastUsed(folder, 'c.iso', 3, (name) => name.endsWith('.iso'));
  assert.deepEqual(readdirSync(folder).sort(), ['a.iso', 'b.iso', 'c.iso', 'e.txt']);
  keepLastUsed(folder, 'b.iso', 1, (name) => name.endsWith('.iso'));
  assert.deepEqual(readdirSync(folder).sort(), ['b.iso', 'e.txt']);
});

test('what nobody has used for long is not kept, however few there are', () => {
  const folder = join(work, 'long');
  const used = (name: string, hoursAgo: number) => {
    mkdirSync(join(folder, name), { recursive: true });
    const seconds = Date.now() / 1000 - hoursAgo * 3600;
    utimesSync(join(folder, name), seconds, seconds);
  };
  used('now.iso', 5);
  used('lately.iso', 0.5);
  used('long-ago.iso', 2);
  keepLastUsed(folder, 'now.iso', 3, () => true, 3_600_000);
  assert.deepEqual(readdirSync(folder).sort(), ['lately.iso', 'now.iso']);
});

test('a new folder takes the place of one that a killed process left, and of no other', () => {
  const parent = join(work, 'making');
  mkdirSync(parent);
  const left = makingFolder(parent, 'build-');
  writeFileSync(join(left, 'half'), '');
  mkdirSync(join(parent, 'kernels'));
  const made = makingFolder(parent, 'build-');
  assert.deepEqual(readdirSync(parent).sort(), [made.slice(parent.length + 1), 'kernels'].sort());
  assert.deepEqual(readdirSync(made), []);
});
