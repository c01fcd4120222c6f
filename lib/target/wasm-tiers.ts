import { setFlagsFromString } from 'node:v8';
import { laneHere } from '../host/lane.ts';

/** Where the lane needs it, WebAssembly stays as it was compiled first. */
export function keepWasmTier(): void {
  if (laneHere?.quirks.wasmTierBreaks) setFlagsFromString('--no-wasm-tier-up --no-wasm-dynamic-tiering');
}
