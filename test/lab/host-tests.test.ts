/** The tests that need a KVM, inside the lab. */
import { describe, test } from 'node:test';
import { reportInside } from '../support/inside-report.ts';
import { labMissing } from '../support/lab.ts';
import {
  hostFiles,
  internalFiles,
  longTeardown,
  ofAnyVendor,
  runTestsInside,
  teardownFiles,
} from '../support/tests-inside.ts';

const skip = labMissing();

/** What is done of the heavy counts: see test/support/counts.ts. */
const COUNTS = { svm: 0.001, vmx: 0.001 };

describe('the host tests hold inside the lab', { skip, concurrency: 2, timeout: 2_000_000 }, () => {
  const all = hostFiles();
  for (const lane of ['svm', 'vmx'] as const)
    test(`${lane}, with ${COUNTS[lane]} of the counts`, async (t) => {
      // `npm run full` has those on vmx.
      const files = lane === 'vmx' ? all.filter((file) => !ofAnyVendor.includes(file)) : all;
      await reportInside(t, files, await runTestsInside(lane, files, { counts: COUNTS[lane] }));
    });
});

describe('the teardown tests, and those of the insides, hold inside the lab', { skip, timeout: 2_000_000 }, () => {
  const files = [...teardownFiles(), ...internalFiles()].filter((file) => !longTeardown.includes(file));
  test(`svm, with ${COUNTS.svm} of the counts`, async (t) => {
    await reportInside(t, files, await runTestsInside('svm', files, { counts: COUNTS.svm }));
  });
});
