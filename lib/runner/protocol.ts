/** What the processes of `kvm-dsm run` say to each other. */
import type { RunCommandOptions } from './options.ts';

/** Instead of a subcommand: a run whose command line another process has read follows, as one JSON argument. */
export const PARSED_RUN = '--parsed-run';

/** What stands in that argument: a script made ready, and how to run it. */
export interface ParsedRun {
  /** The script's path where it runs. */
  script: string;
  /** The file that holds its bundled code; none if the script is a module that node can import. */
  code: string | undefined;
  /** The public modules that the code imports. */
  imports: string[];
  /** True if it uses node:test. */
  tests: boolean;
  args: string[];
  options: RunCommandOptions;
  /** What the user would type to run it again, without its seed. */
  commandLine: string;
  /** True in a process that was started for this run alone, one of several. */
  ownProcess: boolean;
  /** What the frames begin with for the process that judges this one; `null` if there is none: all is shown at once. */
  secret: string | null;
  /** True if a person sees it at a terminal. */
  colours: boolean;
}

/** Where several runs are when one begins. */
export interface RunBegin {
  run: number;
  seed: number | undefined;
  /** Of the runs before it. */
  exits: number;
  forwarded: number;
  /** The machine and its kernel, for a person; `null`: no run has begun. */
  on: string | null;
}

/** How long a script may go on, in ms, after the time for guests is over: for its own reports. */
export const GRACE = 2000;

/** What came of one run of a script. */
export interface ScriptOutcome {
  exits: number;
  /** How many of them are forwarded ICR writes. */
  forwarded: number;
  seed: number | undefined;
  /** True if the script made random choices: then its seed matters. */
  seeded: boolean;
  /** If it ran schedules: how many, and their steps in all. */
  explored?: { schedules: number; steps: number };
  failure?: ScriptFailure;
}

/** Why a run failed, in words and for a program, and what the command ends with. */
export interface ScriptFailure {
  text: string;
  json: Record<string, unknown>;
  exitCode: number;
}
