/**
 * The command and the public module as they are inside a lab machine: one CommonJS file with everything that a run
 * needs, since there opening files and compiling code is slow. The lab bundles it.
 */
import type { GlobalOptions } from './options.ts';
import { run } from './run.ts';

export * as api from '../index.ts';

/** A run whose command line the host has read already, as one JSON argument behind this word. */
export const PARSED_RUN = '--parsed-run';

/** A part of a suite's run, as a JSON file whose path stands behind this word. */
export const PARSED_TEST = '--parsed-test';

/** What stands in that argument. */
export interface ParsedRun {
  script: string;
  args: string[];
  options: GlobalOptions;
}

/** Runs the command with `argv` as in `process.argv`; returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv[2] === PARSED_RUN) {
    const { script, args, options } = JSON.parse(argv[3]!) as ParsedRun;
    return run(script, args, options);
  }
  if (argv[2] === PARSED_TEST) {
    const { testInside } = await import('./test-inside.ts');
    return testInside(argv[3]!);
  }
  const { main } = await import('./program.ts');
  return main(argv);
}
