/** A folder for temporary files that cannot be used. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();

/** In a mount namespace of its own: a file system with that many inodes, and of one page, is TMPDIR. */
const small = (inodes: number) => [
  ...['unshare', '--mount', 'sh', '-c'],
  `mount -t tmpfs -o size=4k,nr_inodes=${inodes} none "$1" && export TMPDIR="$1" && shift && exec "$@"`,
  ...['sh', work],
];

function ends(before: readonly string[]): void {
  // A script with tests is handed to node as a file.
  const { code, stderr } = kvmDsm(['run', 'test/cli/scripts/port.test.ts', '--on', 'host'], 60, before);
  assert.equal(code, 3, stderr);
  assert.match(stderr, /^error: no temporary file can be made in .* \[ERR_TEMPORARY\]$/m);
}

describe('TMPDIR', () => {
  test('that is not there', () => ends(['env', 'TMPDIR=/no/such/folder']));

  const [command, ...args] = [...small(9), 'true'];
  const skip = spawnSync(command!, args).status !== 0 && 'no file system can be mounted here';
  test('without room for a folder', { skip }, () => ends(small(1)));
  test('without room for a file', { skip }, () => ends(small(2)));
});
