/** The suite on the kernels of a review: what is kept is not run again. */
import type { LaneName } from '../lab/lanes/index.ts';
import { suiteKey } from './code.ts';
import { isCutShort, type Review, type ReviewOptions, type Side } from './found.ts';
import type { Pace } from './pace.ts';
import { keep, kept, keyOf } from './stages.ts';
import { runSuite, type SuiteRun } from './suite.ts';
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
  const old = kept<SuiteRun>('suite', key);
  if (old) {
    pace.skip(stage);
    return old;
  }
  pace.begin(stage);
  const onCheck = (ended: number, all: number) => pace.step(stage, `${ended} of ${all} checks`, ended / all);
  const common = { lane, kernel: image, global: { ...global, profile }, patterns, destructive, seed: 1 };
  const run = await runSuite({ ...common, onCheck });
  // Its machine was ended with this command: what it did not come to has not failed.
  signal?.throwIfAborted();
  // What this machine may be to blame for is tried again.
  if (run.boot === null && !isCutShort(run)) keep('suite', key, run);
  pace.end(stage);
  return run;
}
