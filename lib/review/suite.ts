/** The suite on one kernel in one lane, as a review keeps it. */
import { LabMachineError, type LaneName } from '../lab/index.ts';
import { executorFor } from '../runner/suite/executor.ts';
import { noSuchCheck } from '../runner/suite/no-such-check.ts';
import type { TestOptions } from '../runner/suite/options.ts';
import { loadSubjects } from '../runner/suite/subjects.ts';
import { checksById } from '../suite/check.ts';
import { ktapReporter } from '../suite/report/ktap.ts';
import { type Facts, unknownFacts } from '../suite/run/facts.ts';
import type { Totals, Verdict } from '../suite/run/judge.ts';
import { checkOf, planOf } from '../suite/run/plan.ts';
import type { FailureKind } from '../suite/run/protocol.ts';
import type { Reporter } from '../suite/run/reporter.ts';
import { runPlan } from '../suite/run/run.ts';
import type { GlobalOptions } from '../target/options.ts';
import { version } from '../target/version.ts';

/** What became of one check. */
export interface Judged {
  id: string;
  claim: string;
  source: string;
  verdict: Verdict;
  reason: string | null;
  detail: string;
  destructive: boolean;
  cause: FailureKind | null;
}

/** The suite on one kernel in one lane. */
export interface SuiteRun {
  lane: LaneName;
  /** null if the machine never told what it is. */
  facts: Facts | null;
  checks: Judged[];
  totals: Totals;
  /** Why the kernel did not get as far as the first check; null if it did. */
  boot: { reason: string; console: string[] } | null;
  /** Something that no verdict tells. */
  error: string | null;
  notes: string[];
  ktap: string;
  seconds: number;
  /** Checks that ran out of their deadline have had their second turn. */
  isSecond?: boolean;
}

/** What a run of the suite depends on. */
export interface SuiteOptions {
  lane: LaneName;
  kernel: string;
  global: GlobalOptions;
  patterns: readonly string[];
  destructive: boolean;
  seed: number;
  /** Only these, by their full names, each so many times. */
  only?: { ids: ReadonlySet<string>; times: number };
  /** Hears how many of how many checks have ended. */
  onCheck(ended: number, all: number): void;
}

const nothing: Totals = { pass: 0, fail: 0, skip: 0, xfail: 0, xpass: 0 };

/** Refuses patterns that mean no check: before a kernel is built for nothing. */
export async function checkPatterns(patterns: readonly string[]): Promise<void> {
  const items = planOf(await loadSubjects(null), { patterns, repeat: 1, shuffle: false, seed: 1 });
  if (items.length === 0) throw noSuchCheck([...patterns]);
}

/** Runs the suite in a lane. A kernel that does not boot is a result, and no error. */
export async function runSuite({ lane, kernel, global, ...options }: SuiteOptions): Promise<SuiteRun> {
  const { patterns, destructive, seed, only, onCheck } = options;
  const started = performance.now();
  const subjects = await loadSubjects(null);
  const checks = checksById(subjects);
  const all = planOf(subjects, { patterns, repeat: only?.times ?? 1, shuffle: false, seed });
  const items = only ? all.filter(({ id }) => only.ids.has(id)) : all;
  const own: TestOptions = {
    reporter: 'json',
    list: false,
    strict: false,
    bail: false,
    timings: false,
    quiet: false,
    destructive,
    shuffle: false,
    repeat: 1,
    thorough: false,
    variant: [],
  };
  const forLane = { ...global, on: lane, kernel, json: false };
  const run: SuiteRun = {
    lane,
    facts: null,
    checks: [],
    totals: nothing,
    boot: null,
    error: null,
    notes: [],
    ktap: '',
    seconds: 0,
  };
  const ktap = ktapReporter((text) => {
    run.ktap += text;
  });
  let ended = 0;
  const reporter: Reporter = {
    ...ktap,
    head(head) {
      run.facts = head.facts;
      ktap.head(head);
    },
    end(item, result) {
      ktap.end(item, result);
      ended += 1;
      onCheck(ended, items.length);
    },
    note(text) {
      ktap.note(text);
      run.notes.push(text);
    },
  };
  const unknown = unknownFacts(lane, global.device, global.profile);
  try {
    const executor = await executorFor(lane, { checks, module: null, seed, own, global: forLane });
    const plan = { items, checks, seed, repeat: 1, shuffle: false, strict: false, bail: false };
    const summary = await runPlan({ ...plan, executor, reporter, unknown, package: version() });
    run.totals = summary.totals;
    run.error = summary.error === undefined ? null : messageOf(summary.error);
    run.checks = summary.results.map(({ item, result }) => {
      const { claim, source, destructive: mayCrash = false } = checkOf(checks, item);
      const { verdict, reason, detail, cause } = result;
      return { id: item.id, claim, source, verdict, reason, detail, destructive: mayCrash, cause };
    });
  } catch (error) {
    if (!(error instanceof LabMachineError)) throw error;
    const [reason = ''] = error.message.split('\n');
    run.boot = { reason, console: error.log.slice(-8) };
  }
  run.seconds = Math.round((performance.now() - started) / 1000);
  return run;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
