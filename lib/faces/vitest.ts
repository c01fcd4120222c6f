/**
 * `kvm-dsm/vitest`: vitest's tests, which are skipped with the reason where KVM cannot be used. In `kvm-dsm run`, on a host or in the lab,
 * node:test runs them.
 */
import * as vitest from 'vitest';
import { type Anything, replaced, skipReason } from '../script/needs-kvm.ts';

function skipped<T extends typeof vitest.test>(original: T, reason: string): T {
  // By its context: `test.skip` takes no reason.
  const call: Anything = (name, ...rest) =>
    original(name, ...rest.filter((value) => typeof value === 'object'), ({ skip }: vitest.TestContext) =>
      skip(reason),
    );
  // What hangs on it is as it is of `test.skip`.
  return replaced(original.skip as T, call, (_key, value) => value);
}

const hook = <T extends Anything>(original: T): T => (skipReason === false ? original : ((() => {}) as Anything as T));

export const test: typeof vitest.test = skipReason === false ? vitest.test : skipped(vitest.test, skipReason);
export const it: typeof vitest.it = test;
export const describe: typeof vitest.describe = vitest.describe;
export const suite: typeof vitest.suite = vitest.suite;
export const beforeAll: typeof vitest.beforeAll = hook(vitest.beforeAll);
export const afterAll: typeof vitest.afterAll = hook(vitest.afterAll);
export const beforeEach: typeof vitest.beforeEach = hook(vitest.beforeEach);
export const afterEach: typeof vitest.afterEach = hook(vitest.afterEach);
export const expect: typeof vitest.expect = vitest.expect;
