/** What the code inside a lab has otherwise than outside. */

/** Parts of Node.js that take long to load, and that most of what runs inside never calls: loaded when something of theirs is used. */
export const slowBuiltins = [
  'child_process',
  'crypto',
  'net',
  'perf_hooks',
  'readline',
  'tty',
  'worker_threads',
  'zlib',
].map((name) => `node:${name}`);

/** What functions of the lab say when they are called there. */
export const outside = 'this is a machine of the lab: the lab is outside';
