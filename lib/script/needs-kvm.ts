/** Whether a file of tests skips them, since there is no KVM. */

import { hearsTests } from '../base/hears-tests.ts';
import { kvmMissing } from '../script/missing.ts';

/**
 * Why they are skipped; false: they run. In `kvm-dsm run`, and where KVM_DSM_REQUIRE_KVM is 1, a machine without KVM is a failure:
 * somebody asked for them.
 */
export const skipReason: string | false = hearsTests || process.env.KVM_DSM_REQUIRE_KVM === '1' ? false : kvmMissing();

// biome-ignore lint/suspicious/noExplicitAny: whatever the runner's functions take.
export type Anything = (...args: any[]) => any;

/** The same function with other arguments, or another one; what hangs on it goes through `of`. */
export function replaced<T extends Anything>(
  original: T,
  call: Anything,
  of: (key: PropertyKey, value: unknown) => unknown,
): T {
  return new Proxy(original, {
    apply: (_target, self, args) => Reflect.apply(call, self, args),
    get: (target, key) => of(key, Reflect.get(target, key)),
  });
}
