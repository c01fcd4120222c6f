import { setFlagsFromString } from 'node:v8';
import { LANE } from './place.ts';

/**
 * On svm: WebAssembly stays as it was compiled first. Elsewhere V8 compiles a function anew that is called often, on a
 * thread of its own, and then writes to the jump that leads to it.
 *
 * There node died of that in 5 of 89 runs of the API fuzzer, mostly in code of WebAssembly; in none of 223 without it. The
 * likely cause: QEMU before 8.1 does not hold a page while it translates code from it, so that a CPU that translates the
 * jump at the moment when another one writes it keeps the old one for good, and lands in the middle of what V8 has put
 * there since.
 */
export function keepWasmTier(): void {
  if (LANE === 'svm') setFlagsFromString('--no-wasm-tier-up --no-wasm-dynamic-tiering');
}
