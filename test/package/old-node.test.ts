/** What a Node.js that is too old says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { transform } from 'esbuild';
import { root } from '../support/command.ts';

const main = join(root, 'dist/cli/main.js');

test('the entry of the command has words that Node.js 14 reads, and imports nothing but Node.js before it has looked', async () => {
  const text = readFileSync(main, 'utf8');
  const as = async (target: string) => (await transform(text, { target, format: 'esm' })).code;
  // What it does not know would be written in older words.
  assert.equal(await as('node14.8'), await as('esnext'));
  const imported = [...text.matchAll(/^import\b.*["'](.*)["'];?$/gm)].map(([, name]) => name);
  assert.deepEqual(imported, ['node:module']);
});

test('a sentence, and exit code 3', () => {
  const older = `data:text/javascript,Object.defineProperty(process, 'versions', { value: { node: '18.20.4' } });`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', older, main, 'doctor'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual([status, stdout], [3, '']);
  assert.match(stderr, /^error: kvm-dsm needs Node\.js 20\.19 or .* and this is Node\.js 18\.20\.4\n {2}-> /);
});
