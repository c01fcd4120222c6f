/** The examples in both lanes. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonLines, kvmDsm, root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const skip = labMissing();
const names = readdirSync(join(root, 'examples')).map((file) => file.replace(/\.ts$/, ''));

test('the script that runs the examples runs them all', () => {
  const text = readFileSync(join(root, 'test/lab/scripts/examples.ts'), 'utf8');
  const imported = [...text.matchAll(/import\('.*\/examples\/(.*)\.ts'\)/g)].map(([, name]) => name);
  assert.deepEqual(imported.sort(), names.sort());
});

for (const lane of ['vmx', 'svm'] as const)
  test(`${lane}: every example holds`, { skip }, () => {
    const { code, stdout, stderr } = kvmDsm(['run', 'test/lab/scripts/examples.ts', '--on', lane, '--json'], 300);
    assert.equal(code, 0, stdout.slice(-5000) + stderr);
    assert.match(stderr, /examples: all/);
    const { ok, exits } = jsonLines(stdout).at(-1)!;
    assert.ok(ok);
    // The storm alone: 3 vCPUs with 100 IPIs each, two writes per IPI, and what each says at its end.
    assert.ok(Number(exits) > 600, `${exits} exits`);
  });

test('a two-vCPU test takes 25 lines at most, its assembly included', () => {
  const lines = readFileSync(join(root, 'examples/ping-pong.ts'), 'utf8').trimEnd().split('\n');
  assert.ok(lines.length <= 25, `${lines.length} lines`);
});
