/** A command that waits for what never comes is no success. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { root } from '../../support/command.ts';

function run(code: string) {
  const words = [
    '--import',
    'tsx',
    '--input-type=module',
    '-e',
    `import { mustFinish } from './lib/target/unfinished.ts'; ${code}`,
  ];
  const { status, stderr } = spawnSync(process.execPath, words, { cwd: root, encoding: 'utf8', timeout: 60_000 });
  return { status, stderr };
}

test('the event loop is empty before the command has a result: exit code 1, and words', () => {
  const { status, stderr } = run('mustFinish("the command"); new Promise(() => {}).then(() => {});');
  assert.equal(status, 1, stderr);
  assert.match(stderr, /^the command ended without a result/m);
});

test('a command that is over may end with what it likes', () => {
  const { status, stderr } = run('mustFinish("the command")[Symbol.dispose]();');
  assert.deepEqual([status, stderr], [0, '']);
});
