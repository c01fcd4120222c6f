/// <reference types="node" preserve="true" />
/**
 * `kvm-dsm/node-test`: node:test, whose tests are skipped with the reason where KVM cannot be used. In `kvm-dsm run`, on a host or in the
 * lab, it is node:test itself.
 */
import * as node from 'node:test';
import { type Anything, replaced, skipReason } from '../script/needs-kvm.ts';

/** Hooks make what the tests need. */
const hooks = new Set<unknown>([node.before, node.after, node.beforeEach, node.afterEach]);
const nothing: Anything = () => {};

/** `test(name?, options?, work?)` with the reason among its options. */
function skipped<T extends Anything>(original: T, reason: string): T {
  const call: Anything = (...args) => {
    const name = args.filter((value) => typeof value === 'string');
    const work = args.filter((value) => typeof value === 'function');
    const options = args.find((value) => typeof value === 'object' && value !== null);
    return original(...name, { ...options, skip: options?.skip || reason }, ...work);
  };
  return replaced(original, call, (key, value) => {
    if (hooks.has(value)) return nothing;
    const makesTests = ['test', 'it', 'describe', 'suite', 'only', 'todo', 'default'].includes(String(key));
    return makesTests && typeof value === 'function' ? skipped(value as Anything, reason) : value;
  });
}

const of = <T extends Anything>(original: T): T => {
  if (skipReason === false) return original;
  return hooks.has(original) ? (nothing as T) : skipped(original, skipReason);
};

/** A test of node:test; where KVM cannot be used it is skipped, with the reason. */
export const test: typeof node.test = of(node.test);
/** The same as `test`. */
export const it: typeof node.it = of(node.it);
/** A group of tests of node:test, which is skipped likewise. */
export const describe: typeof node.describe = of(node.describe);
/** The same as `describe`. */
export const suite: typeof node.suite = of(node.suite);
/** node:test calls it before the tests of its group; not where KVM cannot be used. */
export const before: typeof node.before = of(node.before);
/** Likewise after them. */
export const after: typeof node.after = of(node.after);
/** Likewise before each test. */
export const beforeEach: typeof node.beforeEach = of(node.beforeEach);
/** Likewise after each test. */
export const afterEach: typeof node.afterEach = of(node.afterEach);
/** node:test's own. */
export const mock: typeof node.mock = node.mock;
export default test;
