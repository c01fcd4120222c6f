import { setFlagsFromString } from 'node:v8';
import { LANE } from './target.ts';

/**
 * On svm: WebAssembly stays as it was compiled first. Elsewhere V8 compiles a function anew that is called often, on a
 * thread of its own, and then writes to the jump that leads to it.
 *
 * There node died of that in 18 of 197 runs of the API fuzzer, mostly in code of WebAssembly; in none of 223 without it.
 * QEMU 7.2 stores what is not aligned byte by byte in a page that it has translated code from, so that another CPU may
 * follow a jump of which half is old: with one store instead, in a private build, it was 1 of 117.
 */
export function keepWasmTier(): void {
  if (LANE === 'svm') setFlagsFromString('--no-wasm-tier-up --no-wasm-dynamic-tiering');
}
