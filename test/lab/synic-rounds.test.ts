/** The round trips of test/host/synic-rounds.test.ts, as many as are asked for: `KVM_DSM_TEST_COUNTS=1` is all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runTestsInside } from '../support/host-tests-inside.ts';
import { labMissing } from '../support/lab.ts';

const part = process.env.KVM_DSM_TEST_COUNTS;
const skip =
  part === undefined ? 'KVM_DSM_TEST_COUNTS is not given, and host-tests.test.ts does a part of them' : labMissing();

for (const lane of ['svm', 'vmx'] as const)
  test(`${lane}: SynIC round trips, ${part ?? 'none'} of the count`, { skip, timeout: 3_600_000 }, async (t) => {
    const { tests, exitCode, stdout, stderr } = await runTestsInside(
      lane,
      ['host/synic-rounds.test.ts'],
      Number(part),
      3500,
    );
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
