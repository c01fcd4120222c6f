/**
 * The lanes of tests that say much the same on both, for which Bochs takes minutes: KVM_DSM_TEST_LANES, `svm` if it is not
 * given; `npm run full` gives `vmx`.
 */
import assert from 'node:assert/strict';
import type { LaneName } from '../../lib/lab/index.ts';

export const lanes = (process.env.KVM_DSM_TEST_LANES ?? 'svm').split(',').map((name): LaneName => {
  assert.ok(name === 'svm' || name === 'vmx', `KVM_DSM_TEST_LANES names '${name}': give svm, vmx or svm,vmx`);
  return name;
});
