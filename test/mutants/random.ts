/** Which drawn faults the suite notices: each is tried until a check says something else than without it. */

import type { LaneName } from '../../lib/lab/index.ts';
import { laneExecutor } from '../../lib/runner/suite/in-lane.ts';
import { type Check, subjectOf } from '../../lib/suite/check.ts';
import { SuiteWorkerError } from '../../lib/suite/errors.ts';
import { type DrawnFault, writeSpec } from '../../lib/suite/faults/drawn/spec.ts';
import { NOTICED } from '../../lib/suite/faults/fault.ts';
import { judge } from '../../lib/suite/run/judge.ts';
import { checkOf } from '../../lib/suite/run/plan.ts';
import type { Item, Outcome, Sink } from '../../lib/suite/run/protocol.ts';
import type { GlobalOptions } from '../../lib/target/options.ts';
import type { RandomRecord, Tried } from './random-record.ts';
import type { Seen } from './record.ts';
import '../support/own-session.ts';

/** A fault that does nothing: what is watched is only looked at under a drawn one. */
const WATCHING = 'icr:always.eq.1:watch';

/** How many of the likeliest checks are tried under every fault before the others are. */
const LIKELY = 6;

export interface RandomRun {
  lane: LaneName;
  faults: readonly DrawnFault[];
  /** Ids of checks, and all that there are. */
  ids: readonly string[];
  checks: ReadonlyMap<string, Check>;
  /** The text of a module that exports them as `subjects`; `null`: they are the suite's own. */
  module: string | null;
  seed: number;
  options: GlobalOptions;
  /** Called from time to time. */
  onProgress(record: RandomRecord): void;
  note(text: string): void;
}

/**
 * Runs every check without a fault, while the kernel watches which faults' conditions hold in it; then, under each fault,
 * the checks that could notice it, until one does.
 *
 * @throws what the lab throws; SuiteWorkerError if not every check had a verdict
 */
export async function runRandom(run: RandomRun): Promise<RandomRecord> {
  const specs = run.faults.map(writeSpec);
  const record: RandomRecord = {
    version: 1,
    on: run.lane,
    profile: run.options.profile,
    kernel: 'unknown',
    seed: run.seed,
    baseline: {},
    faults: Object.fromEntries(specs.map((spec) => [spec, { could: [], by: null, tried: 0, unsure: false }])),
  };
  await watchAll(run, specs, record);
  run.onProgress(record);
  const candidates = new Map(run.faults.map((fault, i) => [specs[i]!, byLikelihood(fault, record)]));
  for (const [from, to] of [
    [0, LIKELY],
    [LIKELY, Number.POSITIVE_INFINITY],
  ] as const) {
    const left = specs.filter((spec) => record.faults[spec]!.by === null);
    const items = left.flatMap((fault) =>
      candidates
        .get(fault)!
        .slice(from, to)
        .map((id) => ({ id, fault, expected: record.baseline[id]!.verdict })),
    );
    run.note(`${items.length} times a check under ${left.length} faults`);
    await tryAll(run, items, record);
  }
  await tryAgain(run, record);
  return record;
}

async function watchAll(run: RandomRun, specs: readonly string[], record: RandomRecord): Promise<void> {
  const items = run.ids.map((id) => ({ id, fault: WATCHING }));
  await runItems(run, items, specs, record, (item, seen, met) => {
    record.baseline[item.id] = seen;
    for (const n of met) record.faults[specs[n]!]!.could.push(item.id);
    return true;
  });
}

async function tryAll(run: RandomRun, items: readonly Wanted[], record: RandomRecord): Promise<void> {
  let last = '';
  let done = 0;
  await runItems(run, items, undefined, record, (item, seen) => {
    const tried = record.faults[item.fault!]!;
    if (item.fault !== last) {
      last = item.fault!;
      done += 1;
      if (done % 10 === 0) run.onProgress(record);
    }
    if (seen.reason === NOTICED && seen.verdict === 'skip') return true;
    tried.tried += 1;
    if (tried.by === null && seen.verdict !== item.expected) tried.by = { check: item.id, ...seen };
    // What took the machine down would do so again with the next check.
    return seen.cause !== 'oops';
  });
  run.onProgress(record);
}

/** Checks that noticed something run once more without a fault: one that wavers proves nothing. */
async function tryAgain(run: RandomRun, record: RandomRecord): Promise<void> {
  const by = [...new Set(Object.values(record.faults).flatMap((tried) => tried.by?.check ?? []))];
  const items = by.map((id) => ({ id, fault: 'none' }));
  await runItems(run, items, undefined, record, (item, seen) => {
    if (seen.verdict === record.baseline[item.id]!.verdict) return true;
    for (const tried of Object.values(record.faults)) if (tried.by?.check === item.id) tried.unsure = true;
    return true;
  });
}

type Wanted = Pick<Item, 'id' | 'fault' | 'expected'>;

async function runItems(
  run: RandomRun,
  wanted: readonly Wanted[],
  watch: readonly string[] | undefined,
  record: RandomRecord,
  onOutcome: (item: Item, seen: Seen, met: readonly number[]) => boolean,
): Promise<void> {
  const { lane, checks, module, seed, options, note } = run;
  let left: Item[] = wanted.map((item, n) => ({ n, round: 1, ...item }));
  const sink: Sink = {
    facts(facts) {
      record.kernel = `${facts.kernel} ${facts.build}`;
    },
    start() {},
    outcome(item, outcome, ms, _exits, { met = [] } = {}) {
      left = left.filter(({ n }) => n !== item.n);
      return onOutcome(item, seenOf(checkOf(checks, item), outcome, ms, options.profile), met);
    },
    note,
  };
  while (left.length > 0) {
    const before = left.length;
    const why = await laneExecutor(lane, { global: options, seed, strict: false, bail: false, module, watch })(
      left,
      sink,
    );
    if (why !== null) throw new SuiteWorkerError(`not every fault was tried: ${why}`);
    left = left.filter(({ fault, expected }) => expected === undefined || record.faults[fault!]!.by === null);
    if (left.length === before) throw new SuiteWorkerError(`the ${lane} machine ends before ${left[0]!.id}`);
  }
}

function seenOf(check: Check, outcome: Outcome, ms: number, profile: string): Seen {
  const { verdict, cause, reason } = judge(check, outcome, { profile, strict: false });
  return { verdict, cause, reason, ms };
}

/** Subjects in the order in which they are likely to notice what a fault does. */
function likelySubjects({ site, action }: DrawnFault): readonly string[] {
  if (site === 'other') return ['transparency', 'matrix'];
  if (site !== 'icr' && site !== 'icr2') return ['injection', 'matrix'];
  if (/^(lose|double|late|reason|flip-|stale|foreign|read-back|zero|other-vcpu)/.test(action.name))
    return ['matrix', 'payload', 'source', 'order', 'once', 'modes'];
  if (/^(skip|unsent|send|no-shorthand)/.test(action.name)) return ['matrix', 'transparency', 'stock', 'source'];
  return ['matrix', 'transparency', 'state'];
}

/** The checks that a fault could strike in, the likeliest and quickest first. */
function byLikelihood(fault: DrawnFault, { baseline, faults }: RandomRecord): string[] {
  const subjects = likelySubjects(fault);
  const rank = (id: string) => {
    const place = subjects.indexOf(subjectOf(id));
    return place < 0 ? subjects.length : place;
  };
  const { could } = faults[writeSpec(fault)] as Tried;
  return could.toSorted((a, b) => rank(a) - rank(b) || baseline[a]!.ms - baseline[b]!.ms);
}
