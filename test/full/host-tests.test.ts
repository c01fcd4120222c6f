/** The host tests that `npm test` runs in the svm lane alone, and the teardown tests that it runs on this machine's KVM alone. */
import { test } from 'node:test';
import { reportInside } from '../support/inside-report.ts';
import { labMissing } from '../support/lab.ts';
import { hostFiles, longTeardown, ofAnyVendor, runTestsInside } from '../support/tests-inside.ts';

test('those that look at the library hold on vmx as well', { skip: labMissing(), timeout: 2_000_000 }, async (t) => {
  const files = hostFiles().filter((file) => ofAnyVendor.includes(file));
  await reportInside(t, files, await runTestsInside('vmx', files, { counts: 0.001 }));
});

test('the long teardown tests hold on svm', { skip: labMissing(), timeout: 2_000_000 }, async (t) => {
  await reportInside(t, longTeardown, await runTestsInside('svm', longTeardown, { counts: 0.001 }));
});
