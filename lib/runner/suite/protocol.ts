/** What the processes of `kvm-dsm test` say to each other, beside what the suite's worker does. */
import type { Traced } from '../../suite/run/check-kernel.ts';
import type { Facts } from '../../suite/run/facts.ts';
import type { FailedProbes } from '../../suite/run/probes.ts';
import type { Item, KernelTold, Outcome } from '../../suite/run/protocol.ts';
import type { RunEnd } from '../../suite/run/supervisor.ts';

/** Instead of a subcommand: the process runs checks for another one. */
export const SUITE_WORKER = '--suite-worker';

/** Instead of a subcommand, in a machine of the lab: the path follows of a JSON file with a part of a run. */
export const PARSED_TEST = '--parsed-test';

/** The word in the kernel's log, after the lab's marker, before the number and the secret of the check which begins. */
export const CHECK_MARK = 'check';

/** Why the rest of a run did not run, if its time was over. */
export const TIME_OVER = 'the time that --timeout allows was over';

/** What the part of a run that is done on one machine depends on. */
export interface PartOptions {
  /** The absolute path of a module of checks; `null`: the suite's own. */
  module: string | null;
  seed: number;
  device: string;
  profile: string;
  /** Seconds. */
  timeout: number;
  /** Drawn faults of the lab's kernel, to be watched. */
  watch?: readonly string[] | undefined;
  /** Files of KVM's whose lines are counted. */
  counted?: readonly string[] | undefined;
  /** Checks that fail tell what happened in their machines. */
  traced?: Traced | undefined;
  /** Probes that took the machine with them. */
  failedProbes?: FailedProbes;
}

/** What a machine of the lab is given to do. */
export interface LanePart extends PartOptions {
  items: Item[];
  strict: boolean;
  bail: boolean;
  /** What each line that it tells begins with. */
  secret: string;
}

/** What it tells, as lines of JSON behind the secret on its standard output. */
export type LaneEvent =
  | { type: 'facts'; facts: Facts }
  | { type: 'outcome'; n: number; outcome: Outcome; ms: number; exits: number; seen?: KernelTold }
  | { type: 'note'; text: string }
  | { type: 'end'; end: RunEnd };
