import { createRequire } from 'node:module';
import type * as Iced from 'iced-x86';

const require = createRequire(import.meta.url);
let loaded: typeof Iced | undefined;

/**
 * The instruction tables, encoder and decoder: WebAssembly and a megabyte of JavaScript around it, which take tens of
 * milliseconds to load. So it is loaded by the first text that is assembled or the first bytes that are disassembled,
 * and at once, since a tagged template cannot wait for an `import()`.
 */
export function iced(): typeof Iced {
  loaded ??= require('iced-x86') as typeof Iced;
  return loaded;
}

/**
 * Calls `use` with the library, and once more with a new one if that traps. A trap leaves its instance as it was in the
 * middle of something, so that nothing could be assembled any more. Seen once in a while on QEMU's emulated CPUs:
 * "memory access out of bounds" where there is none.
 *
 * @param use keeps no object of the library
 */
export function withIced<T>(use: (library: typeof Iced) => T): T {
  try {
    return use(iced());
  } catch (error) {
    if (!isTrap(error)) throw error;
    delete require.cache[require.resolve('iced-x86')];
    loaded = undefined;
    return use(iced());
  }
}

/** A WebAssembly.RuntimeError, which the types of Node.js 20 do not declare. */
const isTrap = (error: unknown): boolean => error instanceof Error && error.name === 'RuntimeError';
