import { fileURLToPath } from 'node:url';

/** Inside the lab: where the package is that is tested. */
const inside = process.env.KVM_DSM_TEST_PACKAGE;

/** What a child process imports to have the package. */
export const library = inside ?? fileURLToPath(new URL('../../lib/index.ts', import.meta.url));

/** The arguments with which node can import it. */
export const loaderArgs: readonly string[] = inside ? [] : ['--import', 'tsx'];

/** An expression for a worker's code: a promise, after which it can import it. It has no loader of its parent's on Node 20. */
export const workerLoader = inside
  ? 'Promise.resolve()'
  : `import(${JSON.stringify(import.meta.resolve('tsx/esm/api'))}).then(({ register }) => register())`;

/** The program `name` beside a test, as a path that node can run with `loaderArgs`. */
export const programBeside = (url: string, name: string): string =>
  fileURLToPath(new URL(inside ? name.replace(/\.ts$/, '.mjs') : name, url));
