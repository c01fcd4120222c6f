/** Scripts and what they import, on the host and in the lab. */
import assert from 'node:assert/strict';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const dir = testFolder();
const write = (name: string, text: string) => {
  mkdirSync(dirname(join(dir, name)), { recursive: true });
  writeFileSync(join(dir, name), text);
};
const skip = labMissing();

write('node_modules/theirs/package.json', '{"name":"theirs","main":"index.cjs"}');
write('node_modules/theirs/index.cjs', "exports.theirs = require('node:path').basename(__filename);");
write('x.bin', 'beside');
write('sub/neighbour.ts', 'export const neighbour: string = import.meta.dirname.slice(-4);');
const body = `
  const read = readFileSync(join(HERE, 'x.bin'), 'utf8');
  console.error([read, neighbour, theirs, typeof machine].join(' '));`;
const esm = `import { readFileSync } from 'node:fs'; import { join } from 'node:path';
  import { machine } from 'kvm-dsm'; import { theirs } from 'theirs';
  const { neighbour } = await import('./sub/neighbour.ts');
  if (readFileSync(new URL('./x.bin', import.meta.url), 'utf8') !== 'beside') throw new Error('by URL');
  ${body.replace('HERE', 'import.meta.dirname')}`;
const cjs = `const { readFileSync } = require('node:fs'); const { join } = require('node:path');
  const { machine } = require('kvm-dsm'); const { theirs } = require('theirs');
  const { neighbour } = require('./sub/neighbour.ts');${body.replace('HERE', '__dirname')}`;

for (const [extension, text] of [
  ['ts', esm],
  ['mts', esm],
  ['js', esm],
  ['mjs', esm],
  ['cts', cjs],
  ['cjs', cjs],
] as const) {
  write(`mine.${extension}`, text);
  for (const on of ['host', 'svm'])
    test(`.${extension} on ${on}: a neighbour, a package and a file`, { skip: on === 'svm' && skip }, () => {
      const { code, stdout, stderr } = kvmDsm(['run', join(dir, `mine.${extension}`), '--on', on], 300);
      assert.match(stderr, /beside \/sub index\.cjs function/, stdout + stderr);
      assert.equal(code, 0);
    });
}

test('svm: a file that did not go along is named', { skip }, () => {
  write(
    'missing.mjs',
    "import { readFileSync } from 'node:fs'; const n = 'x.bin'; readFileSync(new URL(n, import.meta.url));",
  );
  const { code, stdout } = kvmDsm(['run', join(dir, 'missing.mjs'), '--on', 'svm', '--json'], 300);
  const error = jsonLines(stdout).at(-1)!.error as { code: string; message: string };
  assert.equal(error.code, 'ERR_SCRIPT_ASSET');
  assert.ok(error.message.startsWith(`The lab does not have ${dir}/x.bin`), error.message);
  assert.equal(code, 1);
});

test('more files than the lab holds are refused before it starts', () => {
  write('large.bin', '');
  truncateSync(join(dir, 'large.bin'), 33 << 20);
  write('large.mjs', "new URL('./large.bin', import.meta.url);");
  const { code, stderr } = kvmDsm(['run', join(dir, 'large.mjs'), '--on', 'svm']);
  assert.match(stderr, /ERR_SCRIPT_SIZE/);
  assert.equal(code, 2);
});
