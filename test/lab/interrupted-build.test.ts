/** A signal while `run` builds the kernel that it needs. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/command.ts';
import { compilerMissing, labMissing, sourceMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const skip = labMissing() || sourceMissing() || compilerMissing();
const work = testFolder();

test('ends the build and the run, which says so', { skip, timeout: 120_000 }, async () => {
  const words = ['run', 'examples/first-ipi.ts', '--on', 'svm', '--profile', 'fixed-v1'];
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...words], {
    cwd: root,
    env: { ...process.env, XDG_CACHE_HOME: work },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text;
    // The first word of the work itself, which takes minutes from there.
    if (/ extract: /.test(said.stderr)) child.kill('SIGTERM');
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  assert.deepEqual([code, signal], [143, null], said.stdout + said.stderr);
  assert.match(said.stdout + said.stderr, /SIGTERM/);
  assert.doesNotMatch(said.stderr, / configure: /);
});
