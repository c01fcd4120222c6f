/**
 * The round trips of test/host/synic-rounds.test.ts: a quarter on svm, none on vmx, or as many as `KVM_DSM_TEST_COUNTS`
 * asks for (1 is all). On svm this is also what shows that nobody else writes to the state of a CPU that runs a guest.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labMissing } from '../support/lab.ts';
import { runTestsInside } from '../support/tests-inside.ts';

const asked = process.env.KVM_DSM_TEST_COUNTS;

for (const [lane, part] of [
  ['svm', asked ?? '0.25'],
  ['vmx', asked],
] as const) {
  const skip =
    part === undefined ? 'KVM_DSM_TEST_COUNTS is not given, and host-tests.test.ts does a part of them' : labMissing();
  test(`${lane}: SynIC round trips, ${part ?? 'none'} of the count`, { skip, timeout: 3_600_000 }, async (t) => {
    const { tests, exitCode, stdout, stderr } = await runTestsInside(lane, ['host/synic-rounds.test.ts'], {
      counts: Number(part),
      timeoutSeconds: 3500,
    });
    for (const { name, ms } of tests) t.diagnostic(`count: ${name}, ${Math.round(ms / 1000)} s`);
    assert.deepEqual(
      tests.map(({ skip, error }) => [skip, error]),
      [
        [false, null],
        [false, null],
      ],
    );
    assert.equal(exitCode, 0, stdout + stderr);
  });
}
