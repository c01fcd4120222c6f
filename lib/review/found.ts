/** What a review is asked for, and what it found out. */
import type { LaneName } from '../lab/lanes/index.ts';
import type { GlobalOptions } from '../target/options.ts';
import type { RuleAnswer } from './checklist/answer.ts';
import type { ApplyFailure } from './series/apply.ts';
import type { SuiteRun } from './suite.ts';
import type { BuildFailure, BuiltKernel } from './tree/build.ts';

/** What a review is asked for. */
export interface ReviewOptions {
  /** A mailbox, mails, patches, a folder of them; or a tree that has the series. */
  paths: readonly string[];
  /** A tree without the series, or a commit; Debian's source, or what git knows, if not given. */
  base: string | undefined;
  config: readonly string[];
  lanes: readonly LaneName[];
  /** null: by what the series adds. */
  profile: string | null;
  /** Parts of the names of checks; none: all. */
  patterns: readonly string[];
  destructive: boolean;
  /** Apply and look, and build and boot nothing. */
  looksOnly: boolean;
  global: GlobalOptions;
  report(line: string): void;
  reportEveryMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** One kernel of a review. */
export interface Side {
  kernel: BuiltKernel | null;
  runs: SuiteRun[];
}

/** How far a series came. */
export type ReviewVerdict =
  | 'does not apply'
  | 'does not build'
  | 'does not boot'
  | 'findings'
  | 'not finished'
  | 'no finding';

/** What a review found out. */
export interface Review {
  /** What it was given, as a shell takes it. */
  given: string;
  title: string;
  version: string;
  patches: string[];
  notes: string[];
  base: string;
  profile: string;
  symbols: string[];
  /** Nothing was built. */
  looksOnly: boolean;
  apply: ApplyFailure | null;
  build: BuildFailure | null;
  /** null where a tree with the series was given alone. */
  parent: Side | null;
  child: Side;
  answers: RuleAnswer[];
  seconds: number;
}

/** How far it came. */
export function verdictOf({ apply, build, child, answers }: Review): ReviewVerdict {
  if (apply) return 'does not apply';
  if (build) return 'does not build';
  if (child.runs.some(({ boot }) => boot)) return 'does not boot';
  const checks = child.runs.flatMap((run) => run.checks);
  const isBad = checks.some(({ verdict, cause }) => /fail$/.test(verdict) && cause !== 'not-run');
  if (isBad || answers.some(({ verdict }) => verdict === 'broken')) return 'findings';
  return child.runs.some(isCutShort) ? 'not finished' : 'no finding';
}

/** This machine, or the time that was given, did not let every check have its turn. */
export function isCutShort({ checks, error }: SuiteRun): boolean {
  return error !== null || checks.some(({ cause }) => cause === 'not-run');
}
