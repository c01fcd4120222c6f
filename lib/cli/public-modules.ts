import type { PublicModules } from '../runner/bundle/public-modules.ts';

/** What a script may import of this package; loaded when a script does. */
export const publicModules: PublicModules = {
  'kvm-dsm': () => import('../index.ts'),
  'kvm-dsm/kvm': () => import('../faces/kvm.ts'),
  'kvm-dsm/abi': () => import('../faces/abi.ts'),
  'kvm-dsm/guest': () => import('../faces/guest.ts'),
  'kvm-dsm/trace': () => import('../faces/trace.ts'),
  'kvm-dsm/suite': () => import('../faces/suite.ts'),
  'kvm-dsm/lab': () => import('../faces/lab.ts'),
  'kvm-dsm/node-test': () => import('../faces/node-test.ts'),
  // vitest itself is not there: neither in the process of a run, nor in the lab.
  'kvm-dsm/vitest': () => import('../runner/as-vitest.ts'),
};
