import type { RunOptions } from '../target/options.ts';

/** A run whose command line has been read already, as one JSON argument behind this word. */
export const PARSED_RUN = '--parsed-run';

/** What stands in that argument: a script made ready, and how to run it. */
export interface ParsedRun {
  /** The script's path where it runs. */
  script: string;
  /** The file that holds its bundled code; none if the script is a module that node can import. */
  code: string | undefined;
  /** True if it uses node:test. */
  tests: boolean;
  args: string[];
  options: RunOptions;
  /** The command that the user would type to run it again, without its seed. */
  again: string;
  /** True in a process that does one run of several. */
  part: boolean;
}
