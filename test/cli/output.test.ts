/** What the command writes arrives whole, or the exit code says that it did not. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { describe, test } from 'node:test';
import { kvmDsm, root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const dir = testFolder();

/** By a shell, which sends the output to where `to` says. */
const sent = (to: string) => ['sh', '-c', `exec "$@" ${to}`, 'sh'];
const noFull = statSync('/dev/full', { throwIfNoEntry: false }) === undefined && 'there is no /dev/full here';

describe('a disk without room', () => {
  for (const args of [
    ['--help'],
    ['--version'],
    ['run', '--help'],
    ['doctor', '--on', 'host'],
    ['doctor', '--on', 'host', '--json'],
    ['abi'],
    ['abi', '--json'],
    ['lab', 'status'],
    ['test', '--list'],
    ['test', '--list', '--json'],
    ['run', 'test/cli/scripts/throws.ts', '--on', 'host'],
    ['run', 'test/cli/scripts/throws.ts', '--on', 'host', '--json'],
  ])
    test(`${args.join(' ')}: exit code 3, and a word`, { skip: noFull }, () => {
      const { code, stderr } = kvmDsm(args, 120, sent('> /dev/full'));
      assert.match(stderr, /could not be written: ENOSPC: .* \[ERR_OUTPUT\]/);
      assert.equal(code, 3, stderr);
    });

  for (const args of [
    ['abi', '--json'],
    ['test', 'capability', '--reporter', 'tap'],
    ['run', 'test/cli/scripts/throws.ts'],
  ])
    test(`${args.join(' ')} --on svm: the same`, { skip: noFull || labMissing() }, () => {
      const { code, stderr } = kvmDsm([...args, '--on', 'svm'], 300, sent('> /dev/full'));
      assert.match(stderr, /could not be written: ENOSPC: .* \[ERR_OUTPUT\]/);
      assert.equal(code, 3, stderr);
    });

  test('that is full in the midst of a report: the part that found room is no success', (t) => {
    const small = [
      'sh',
      '-c',
      'mount -t tmpfs -o size=8k none "$1" && cd "$2" && out=$1/report && shift 2 && exec "$@" > "$out"',
      'sh',
    ];
    const unshare = [
      ['unshare', '--mount'],
      ['unshare', '--mount', '--map-root-user'],
    ].find(([command, ...args]) => spawnSync(command!, [...args, ...small, dir, root, 'true']).status === 0);
    if (!unshare) return t.skip('no file system can be mounted here, not even in a namespace');
    const { code, stderr } = kvmDsm(['abi', '--json'], 120, [...unshare, ...small, dir, root]);
    assert.match(stderr, /ERR_OUTPUT/);
    assert.equal(code, 3);
  });
});

test('a reader that goes away is a quiet end with the exit code of the command', () => {
  const early = ['bash', '-c', 'set -o pipefail; "$@" | head -c 1 >/dev/null', 'bash'];
  for (const [args, expected] of [
    [['abi', '--json'], 0],
    [['test', '--list'], 0],
    [['run', 'test/cli/scripts/throws.ts', '--on', 'host', '--json'], 1],
  ] as const) {
    const { code, stderr } = kvmDsm(args, 120, early);
    assert.deepEqual([code, stderr], [expected, '']);
  }
});
