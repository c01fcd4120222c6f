/** The ready kernel: a build of kernel/, in another folder, gives the same file byte for byte. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { root } from '../support/command.ts';
import { labMissing, sourceMissing } from '../support/lab.ts';

const HOUR = 3_600_000;

test('the ready kernel is what kernel/ makes', { skip: labMissing() || sourceMissing() }, (t) => {
  const args = ['--import', 'tsx', 'tools/lab-kernel.ts', '--check'];
  // A test's own limit does not end what it waits for so.
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: HOUR });
  // Of another compiler or of another source, another image is to be expected.
  if (stdout.startsWith('not compared:')) return t.skip(stdout.trim());
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /^the same, byte for byte: SHA-256 [0-9a-f]{64}\n$/);
});
