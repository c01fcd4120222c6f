/**
 * The command and the public module as they are inside a lab machine: one CommonJS file with everything that a run
 * needs, since there opening files and compiling code is slow. The lab bundles it.
 */

import { PARSED_RUN } from '../runner/parsed-run.ts';
import { outputSent } from '../target/output.ts';
import { followParent } from '../target/own-process.ts';
import { keepWasmTier } from '../target/wasm-tiers.ts';
import { runParsed } from './run.ts';

keepWasmTier();

export * as api from '../index.ts';

/** A part of a suite's run, as a JSON file whose path stands behind this word. */
export const PARSED_TEST = '--parsed-test';

/** Runs the command with `argv` as in `process.argv`; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  followParent();
  const code = await run(argv);
  await outputSent();
  return code;
}

async function run(argv: readonly string[]): Promise<number> {
  if (argv[2] === PARSED_RUN) return runParsed(argv[3]!);
  if (argv[2] === PARSED_TEST) {
    const { testInside } = await import('./test-inside.ts');
    return testInside(argv[3]!);
  }
  const { main } = await import('./program.ts');
  return main(argv);
}
