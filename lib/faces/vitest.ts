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

/** A test of vitest; where KVM cannot be used it is skipped, with the reason. */
export const test: typeof vitest.test = skipReason === false ? vitest.test : skipped(vitest.test, skipReason);
/** The same as `test`. */
export const it: typeof vitest.it = test;
/** vitest's own: a group of tests. */
export const describe: typeof vitest.describe = vitest.describe;
/** vitest's own: a group of tests. */
export const suite: typeof vitest.suite = vitest.suite;
/** vitest calls it before the tests of its group; not where KVM cannot be used. */
export const beforeAll: typeof vitest.beforeAll = hook(vitest.beforeAll);
/** Likewise after them. */
export const afterAll: typeof vitest.afterAll = hook(vitest.afterAll);
/** Likewise before each test. */
export const beforeEach: typeof vitest.beforeEach = hook(vitest.beforeEach);
/** Likewise after each test. */
export const afterEach: typeof vitest.afterEach = hook(vitest.afterEach);
/** vitest's own. */
export const expect: typeof vitest.expect = vitest.expect;
