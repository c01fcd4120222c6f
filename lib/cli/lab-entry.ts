/**
 * The command and the public modules as they are inside a lab machine: one CommonJS file with everything that a run
 * needs, since there opening files and compiling code is slow. The lab bundles it.
 */

import { internalCommand } from '../runner/internal-command.ts';
import { phaseEnded } from '../runner/phase-inside.ts';
import { PARSED_TEST } from '../runner/suite/protocol.ts';
import { outputSent } from '../target/output.ts';
import { followParent } from '../target/own-process.ts';
import { keepWasmTier } from '../target/wasm-tiers.ts';
import { publicModules } from './public-modules.ts';
import { awaitedArguments } from './wait-inside.ts';

keepWasmTier();

export { publicModules };

/** Runs the command with `argv` as in `process.argv`; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const given = await awaitedArguments(argv);
  phaseEnded('node');
  followParent();
  const code = await run(given);
  await outputSent();
  return code;
}

async function run(argv: readonly string[]): Promise<number> {
  if (argv[2] === PARSED_TEST) {
    const { runPartInside } = await import('../runner/suite/inside.ts');
    return runPartInside(argv[3]!);
  }
  const internal = internalCommand(argv, publicModules);
  if (internal) return internal;
  const { runProgram } = await import('./program.ts');
  return runProgram(argv);
}
