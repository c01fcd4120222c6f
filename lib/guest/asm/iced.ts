/** The instruction tables, loaded by their first use. */
import { createRequire } from 'node:module';
import type * as Iced from 'iced-x86';

let loaded: typeof Iced | undefined;

/**
 * The instruction tables, encoder and decoder: WebAssembly and a megabyte of JavaScript around it, which take tens of
 * milliseconds to load. So it is loaded by the first text that is assembled or the first bytes that are disassembled,
 * and at once, since a tagged template cannot wait for an `import()`.
 */
export function iced(): typeof Iced {
  loaded ??= createRequire(import.meta.url)('iced-x86') as typeof Iced;
  return loaded;
}
