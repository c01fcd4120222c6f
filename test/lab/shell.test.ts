/** `lab shell` with its input from a pipe. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const skip = labMissing();

/** Runs `kvm-dsm lab shell` with a text as its standard input. */
function shell(lane: string, input: string | Buffer) {
  const args = ['--import', 'tsx', 'lib/cli/main.ts', 'lab', 'shell', '--on', lane];
  return spawnSync(process.execPath, args, { cwd: root, input, encoding: 'utf8', timeout: 120_000 });
}

describe('kvm-dsm lab shell with piped input', { skip, concurrency: 2, timeout: 300_000 }, () => {
  for (const lane of ['vmx', 'svm']) {
    test(`${lane}: runs what comes in and ends with the shell's exit code`, () => {
      const { stdout, stderr, status } = shell(lane, 'uname -r\necho "$KVM_DSM_LANE" >&2; ls /dev/kvm; exit 5\n');
      assert.match(stdout, /^\d+\.\d+\S*\n\/dev\/kvm\n$/);
      assert.equal(stderr, `${lane}\n`);
      assert.equal(status, 5);
    });
  }

  test('the end of the input ends the shell, also after an unfinished line', () => {
    const { stdout, status } = shell('svm', 'echo one\ncat <<end\nünï \x7f\x15\nend\necho "two"');
    assert.equal(stdout, 'one\nünï \x7f\x15\ntwo\n');
    assert.equal(status, 0);
  });
});
