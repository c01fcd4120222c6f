import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

const skip = labMissing();
const seed = process.env.FUZZ_SEED ?? '1';

/** What was sent last is what crashed or froze the machine. */
const tail = (stdout: string, stderr: string) => `${stdout.split('\n').slice(-4).join('\n')}\n${stderr}`;

describe('the fuzzers in the lab', { skip, timeout: 300_000 }, () => {
  test('svm: random guest code: every payload has an outcome', () => {
    const args = ['run', 'test/fuzz/guest-code.ts', '--on', 'svm', '--', '--seed', seed, '--count', '60'];
    const { code, stdout, stderr } = kvmDsm(args);
    assert.equal(code, 0, tail(stdout, stderr));
    const numbers = (what: string) =>
      [...stdout.matchAll(new RegExp(`^${what} (\\d+) `, 'gm'))].map(([, index]) => Number(index));
    const every = Array.from({ length: 60 }, (_, index) => index);
    assert.deepEqual(numbers('payload'), every);
    assert.deepEqual(numbers('outcome'), every);
    assert.match(stdout, new RegExp(`^seed ${seed}: 60 payloads in `, 'm'));
  });

  test('svm: random calls, with random state and code in guests that run', () => {
    const args = ['run', 'test/fuzz/api.ts', '--on', 'svm', '--', '--seed', seed, '--count', '1500'];
    const { code, stdout, stderr } = kvmDsm(args);
    assert.equal(code, 0, `${stdout.split('\n').find((line) => line.startsWith('FINDING'))}\n${tail(stdout, stderr)}`);
    assert.match(stdout, /with random state and code/);
    assert.match(stdout, new RegExp(`^seed ${seed}: .* 0 findings`, 'm'));
  });
});

/**
 * Bochs stands still for good when a guest spins with EFLAGS.IF=0, which random code may do: the command ends with
 * ERR_LAB_FROZEN then, and the last payload of the output is the finding.
 */
const noVmx = skip || (process.env.FUZZ_VMX === undefined && 'random code can freeze Bochs: FUZZ_VMX=1 asks for it');

test('vmx: random guest code: every payload has an outcome', { skip: noVmx, timeout: 300_000 }, () => {
  const args = ['run', 'test/fuzz/guest-code.ts', '--on', 'vmx', '--', '--seed', seed, '--count', '30'];
  const { code, stdout, stderr } = kvmDsm(args);
  assert.equal(code, 0, tail(stdout, stderr));
  assert.match(stdout, new RegExp(`^seed ${seed}: 30 payloads in `, 'm'));
});

test('random guest code does not run on a host that nobody asked it for', () => {
  const { code, stdout, stderr } = kvmDsm(['run', 'test/fuzz/guest-code.ts', '--on', 'host', '--', '--seed', '1']);
  assert.equal(code, 2);
  assert.doesNotMatch(stdout, /^payload/m);
  assert.match(stderr, /--on-host/);
});
