/** The fuzzers in the lab. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findEmulator } from '../../lib/lab/lanes/find-emulator.ts';
import { laneNamed } from '../../lib/lab/lanes/index.ts';
import { describeFinding, isEmulators, payloadsInLab } from '../fuzz/in-lab.ts';
import { UNTYPED } from '../fuzz/outcome.ts';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { lanes } from '../support/lanes.ts';

const skip = labMissing();
const seed = Number(process.env.FUZZ_SEED ?? 1);

const sum = (numbers: Iterable<number>) => [...numbers].reduce((total, one) => total + one, 0);
/** The fault is of this version. */
const noQemu72 = !skip && !findEmulator(laneNamed('svm')).version.startsWith('7.2.') && 'QEMU is not 7.2';

/** What was sent last is what crashed or froze the machine. */
const tail = (stdout: string, stderr: string) => `${stdout.split('\n').slice(-4).join('\n')}\n${stderr}`;

describe('the fuzzers in the lab', { skip, timeout: 300_000 }, () => {
  for (const lane of lanes)
    test(`${lane}: random guest code: every payload has an outcome, or ends the machine by a fault of the emulator`, async () => {
      const count = lane === 'svm' ? 60 : 12;
      const { outcomes, findings, boots } = await payloadsInLab({ lane, seed, count });
      for (const finding of findings) assert.ok(isEmulators(lane, finding), describeFinding(seed, finding));
      assert.equal(boots - 1, findings.length, 'a boot for each machine that ended');
      const untyped = [...outcomes.keys()].filter((outcome) => outcome.startsWith(UNTYPED));
      assert.deepEqual(untyped, []);
      assert.equal(sum(outcomes.values()) + findings.length, count);
    });

  test('a payload that ends the machine is kept, and those after it run', { skip: noQemu72 }, async () => {
    const { outcomes, findings, boots } = await payloadsInLab({
      lane: 'svm',
      seed: 7,
      from: 156,
      count: 3,
    });
    const [finding, ...others] = findings;
    assert.deepEqual(others, []);
    assert.equal(finding!.plan.index, 157);
    assert.equal(finding!.code, 'ERR_LAB_ABORT');
    assert.match(finding!.message, /itself crashed \(signal SIGABRT\): .*invalid tss/);
    assert.match(describeFinding(7, finding!), /^ {2}seed 7 payload 157 .*\n {4}vCPU 0 long64 .*\n +1000 /s);
    assert.equal(boots, 2);
    assert.equal(sum(outcomes.values()), 2);
  });

  test('svm: random calls, with random state and code in guests that run', () => {
    const args = ['run', 'test/fuzz/api.ts', '--on', 'svm', '--timeout', '300'];
    const calls = ['--', '--seed', String(seed), '--count', '1500'];
    const { code, stdout, stderr } = kvmDsm([...args, ...calls], 600);
    assert.equal(
      code,
      0,
      `${stdout.split('\n').find((line) => /^(FINDING|not ok)/.test(line))}\n${tail(stdout, stderr)}`,
    );
    assert.match(stdout, /with random state and code/);
    assert.match(stdout, new RegExp(`^seed ${seed}: .* 0 findings`, 'm'));
  });
});

test('random guest code does not run on a host that nobody asked it for', () => {
  const { code, stdout, stderr } = kvmDsm(['run', 'test/fuzz/guest-code.ts', '--on', 'host', '--', '--seed', '1']);
  assert.equal(code, 1);
  assert.match(stdout, /process\.exit with 2 \[ERR_SCRIPT_EXIT\]/);
  assert.doesNotMatch(stdout, /^payload/m);
  assert.match(stderr, /--on-host/);
});
