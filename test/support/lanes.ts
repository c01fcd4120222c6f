/**
 * The lanes of tests that say much the same on both, for which Bochs takes minutes: KVM_DSM_TEST_LANES, `svm` if it is not
 * given; `npm run full` gives `vmx`.
 */
import type { LaneName } from '../../lib/lab/index.ts';

export const lanes = (process.env.KVM_DSM_TEST_LANES ?? 'svm').split(',') as LaneName[];
