/** vitest's tests in `kvm-dsm run`: node:test in vitest's words. */
import * as node from 'node:test';
import { format } from 'node:util';
import { ArgumentError } from '../base/errors.ts';

/** What a test is given. */
interface TestContext {
  readonly signal: AbortSignal;
  /** Ends the test, as skipped. */
  skip(note?: string): never;
  onTestFinished(work: () => void | Promise<void>): void;
}
type Work = (context: TestContext, ...values: never[]) => unknown;
interface TestOptions {
  timeout?: number;
  skip?: boolean;
  todo?: boolean;
  only?: boolean;
}

const known = ['timeout', 'skip', 'todo', 'only'] as const;
const advice = 'Use the words that both have (docs/scripts.md), or run the file by vitest on a host that has KVM.';
const notHere = (what: string) =>
  new ArgumentError(what, `${what} is vitest's own: in \`kvm-dsm run\` the tests are those of node:test`, advice);

/** What came from `skip` of a test's context. */
class Skipped extends Error {}

type Given = [name: string | { name: string }, ...rest: unknown[]];

/** The options and the work of `(name, work, timeout?)`, `(name, work, options?)` and `(name, options?, work)`. */
function taken(what: string, [name, ...rest]: Given): { name: string; options: TestOptions; work: Work | undefined } {
  const work = rest.find((value): value is Work => typeof value === 'function');
  const [other = {}] = rest.filter((value) => typeof value !== 'function' && value !== undefined);
  const options: TestOptions = typeof other === 'number' ? { timeout: other } : (other as TestOptions);
  for (const key of Object.keys(options)) if (!known.some((one) => one === key)) throw notHere(`${key} of ${what}()`);
  return { name: typeof name === 'string' ? name : name.name, options, work };
}

async function inContext(work: Work, context: node.TestContext, values: readonly unknown[]): Promise<void> {
  const { signal } = context;
  const given: TestContext = {
    signal,
    skip(note) {
      context.skip(note);
      throw new Skipped();
    },
    onTestFinished: (after) => context.after(after),
  };
  try {
    await (values.length > 0 ? (work as (...all: unknown[]) => unknown)(...values) : work(given));
  } catch (error) {
    if (!(error instanceof Skipped)) throw error;
  }
}

type Start = (name: string, options: TestOptions, work: Work | undefined, values: readonly unknown[]) => void;

/** `test` or `describe`, with what hangs on it. */
function words(what: string, start: Start) {
  const by = (fixed: TestOptions) => {
    const call = (...given: Given) => {
      const { name, options, work } = taken(what, given);
      start(name, { ...options, ...fixed }, work, []);
    };
    const each =
      (cases: readonly unknown[]) =>
      (...given: Given) => {
        const { name, options, work } = taken(what, given);
        for (const [at, values] of cases.entries()) {
          const list = Array.isArray(values) ? values : [values];
          start(named(name, at, list), { ...options, ...fixed }, work, list);
        }
      };
    return Object.assign(call, { each });
  };
  const skip = by({ skip: true });
  const plain = by({});
  const more = {
    skip,
    todo: by({ todo: true }),
    only: by({ only: true }),
    skipIf: (condition: unknown) => (condition ? skip : plain),
    runIf: (condition: unknown) => (condition ? plain : skip),
  };
  return new Proxy(Object.assign(plain, more), {
    get(target, key, receiver) {
      if (typeof key === 'string' && !(key in target) && key !== 'then') throw notHere(`${what}.${key}`);
      return Reflect.get(target, key, receiver);
    },
  });
}

/** printf's words as vitest takes them: `%s` and the like in their order, `%#` for the number of the case. */
function named(name: string, at: number, values: readonly unknown[]): string {
  const used = name.match(/%[sdifjoO]/g)?.length ?? 0;
  return format(name.replaceAll('%#', String(at)), ...values.slice(0, used));
}

export const test = words('test', (name, options, work, values) => {
  node.test(name, options, work && ((context) => inContext(work, context, values)));
});
export const it: typeof test = test;
export const describe = words('describe', (name, options, work, values) => {
  node.describe(name, options, work && (() => void (work as (...all: unknown[]) => unknown)(...values)));
});
export const suite: typeof describe = describe;

type Hook = (work: () => unknown, timeout?: number) => void;
type NodeHook = (work: () => Promise<void>, options?: { timeout?: number }) => void;

const hook =
  (what: string, of: NodeHook): Hook =>
  (work, timeout) =>
    of(
      async () => {
        if (typeof (await work()) === 'function') throw notHere(`a function that ${what}() gets back`);
      },
      timeout === undefined ? {} : { timeout },
    );

export const beforeAll: Hook = hook('beforeAll', node.before);
export const afterAll: Hook = hook('afterAll', node.after);
export const beforeEach: Hook = hook('beforeEach', node.beforeEach);
export const afterEach: Hook = hook('afterEach', node.afterEach);
