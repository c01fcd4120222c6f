/** The suite on the kernels of a review: what is kept is not run again. */
import { plural } from '../base/text.ts';
import type { LaneName } from '../lab/lanes/index.ts';
import { totalsOf } from '../suite/run/judge.ts';
import { suiteKey } from './code.ts';
import { isCutShort, type Review, type ReviewOptions, type Side } from './found.ts';
import type { Pace } from './pace.ts';
import { keep, kept, keyOf } from './stages.ts';
import { type Judged, runSuite, type SuiteRun } from './suite.ts';
import type { BuiltKernel } from './tree/build.ts';

interface Job {
  side: Side;
  lane: LaneName;
  stage: string;
}

/** What a review calls the suite on a lane. */
export const suiteStages = (lane: LaneName) => ({
  child: `suite on ${lane}`,
  parent: `suite of the parent on ${lane}`,
});

/** The suite on both kernels, two machines at a time; the slow lane and the series first. */
export async function judge(found: Review, options: ReviewOptions, pace: Pace): Promise<void> {
  const { child, parent } = found;
  const order = [...options.lanes].sort((a, b) => Number(b === 'vmx') - Number(a === 'vmx'));
  const jobs: Job[] = [
    ...order.map((lane) => ({ side: child, lane, stage: suiteStages(lane).child })),
    ...(parent ? order.map((lane) => ({ side: parent, lane, stage: suiteStages(lane).parent })) : []),
  ];
  const suite = suiteKey();
  const next = async (): Promise<void> => {
    options.signal?.throwIfAborted();
    const job = jobs.shift();
    if (!job) return;
    job.side.runs.push(await suiteOnce(job, job.side.kernel!, suite, found.profile, options, pace));
    await next();
  };
  // None is left running by the other's error.
  const ends = await Promise.allSettled([next(), next()]);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  for (const { runs } of [child, ...(parent ? [parent] : [])])
    runs.sort((a, b) => options.lanes.indexOf(a.lane) - options.lanes.indexOf(b.lane));
}

async function suiteOnce(
  { lane, stage }: Job,
  { image, sha256 }: BuiltKernel,
  suite: string,
  profile: string,
  { patterns, destructive, global, signal }: ReviewOptions,
  pace: Pace,
): Promise<SuiteRun> {
  const { cmdline = '', emulator = '' } = global;
  const key = keyOf(sha256, lane, suite, profile, cmdline, emulator, String(destructive), ...patterns);
  const common = { lane, kernel: image, global: { ...global, profile }, patterns, destructive, seed: 1 };
  let run = kept<SuiteRun>('suite', key);
  if (!run || lateChecks(run).length > 0) pace.begin(stage);
  if (!run) {
    const onCheck = (ended: number, all: number) =>
      pace.step(stage, `${ended} of ${plural(all, 'check')}`, ended / all);
    run = await runSuite({ ...common, onCheck });
    // Its machine was ended with this command: what it did not come to has not failed.
    signal?.throwIfAborted();
    // What this machine may be to blame for is tried again.
    if (run.boot !== null || isCutShort(run)) {
      pace.end(stage);
      return run;
    }
    keep('suite', key, run);
    pace.end(stage);
  }
  const late = lateChecks(run);
  if (late.length > 0) {
    const only = { ids: new Set(late.map(({ id }) => id)), times: TURNS };
    const onCheck = (ended: number, all: number) => pace.step(stage, `once more, ${ended} of ${all}`);
    const second = await runSuite({ ...common, only, onCheck });
    signal?.throwIfAborted();
    run = withSecond(run, second);
    keep('suite', key, run);
  }
  pace.skip(stage);
  return run;
}

/** A check that ran out of its deadline has so many further turns, all of which it has to pass. */
const TURNS = 3;
/** More than these are no mischance. */
const MOST_LATE = 10;

/** A machine that others use as well may be to blame for a deadline. */
export function lateChecks({ checks, isSecond = false }: SuiteRun): Judged[] {
  const late = checks.filter(
    ({ verdict, cause, destructive }) => verdict === 'fail' && cause === 'deadline' && !destructive,
  );
  return isSecond || late.length > MOST_LATE ? [] : late;
}

/** What passed in all of its further turns has passed, and that is told; what did not has failed. */
export function withSecond(run: SuiteRun, second: SuiteRun): SuiteRun {
  const late = new Set(lateChecks(run).map(({ id }) => id));
  const passed = [...late].filter((id) => {
    const turns = second.checks.filter((check) => check.id === id);
    return turns.length === TURNS && turns.every(({ verdict }) => verdict === 'pass');
  });
  const checks = run.checks.map(
    (check): Judged =>
      passed.includes(check.id) ? { ...check, verdict: 'pass', reason: null, detail: '', cause: null } : check,
  );
  const notes = passed.map((id) => `${id} ran out of its deadline, and then passed ${TURNS} times by itself`);
  return { ...run, checks, totals: totalsOf(checks), notes: [...run.notes, ...notes], isSecond: true };
}
