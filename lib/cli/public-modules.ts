import type { PublicModules } from '../runner/bundle/public-modules.ts';

/** What a script may import of this package; loaded when a script does. */
export const publicModules: PublicModules = {
  'kvm-dsm': () => import('../index.ts'),
};
