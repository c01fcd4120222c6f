/** One run of a plan: an executor runs its items somewhere, each outcome is judged and reported. */
import { printableLines } from '../../base/text.ts';
import type { Check } from '../check.ts';
import type { Facts } from './facts.ts';
import { judge, type Result, totalsOf } from './judge.ts';
import { checkOf } from './plan.ts';
import type { Executor, Item, Outcome, Sink } from './protocol.ts';
import type { Head, Reporter, Summary } from './reporter.ts';

export interface RunPlanOptions extends Omit<Head, 'facts'> {
  executor: Executor;
  /** What is told of the place if it never tells itself. */
  unknown: Facts;
  reporter: Reporter;
  bail: boolean;
  /** Ends the run, and with it the executor: its reason is an error that says why. */
  signal?: AbortSignal | undefined;
}

const SLOWEST = 5;

/**
 * Runs a plan, judges each outcome and reports it. Every item ends with a verdict, unless the run is interrupted: one whose turn did not come is
 * skipped after `--bail`, and failed otherwise.
 *
 * @throws what the executor throws, if it is not even known where the checks would have run
 */
export async function runPlan({
  executor,
  reporter,
  bail,
  unknown,
  signal,
  ...head
}: RunPlanOptions): Promise<Summary> {
  const { items, checks, strict } = head;
  /** What the place says that it is judged by. */
  let { profile } = unknown;
  const results = new Map<number, { item: Item; result: Result }>();
  const walls: { item: Item; ms: number }[] = [];
  const began = performance.now();
  let firstCheck: number | null = null;
  /** When each check began. In the lab one may begin before the outcome of the one before it has come out. */
  const begun = new Map<number, number>();
  let current: Item | null = null;
  let hasHead = false;
  let bailedOut: string | null = null;
  /** What is to be reported after the head. */
  const early: (() => void)[] = [];
  const report = (call: () => void): void => {
    if (hasHead) call();
    else early.push(call);
  };

  const leave = (item: Item, at: number): void => {
    walls.push({ item, ms: at - begun.get(item.n)! });
    current = null;
  };
  const end = (item: Item, outcome: Outcome, ms: number, exits: number, at = performance.now()): void => {
    if (results.has(item.n)) return;
    const result = { ...judge(checkOf(checks, item), outcome, { profile, strict }), ms, exits };
    results.set(item.n, { item, result });
    if (current?.n === item.n) leave(item, at);
    report(() => reporter.end(item, result));
    if (bail && result.verdict === 'fail') bailedOut ??= item.id;
  };
  const sink: Sink = {
    facts(facts) {
      if (hasHead) return;
      hasHead = true;
      ({ profile } = facts);
      reporter.head({ ...head, facts });
      for (const call of early) call();
    },
    start(item, at = performance.now()) {
      firstCheck ??= at;
      if (current) leave(current, at);
      begun.set(item.n, at);
      current = item;
      report(() => reporter.start(item));
    },
    outcome(item, outcome, ms, exits, _seen, at) {
      end(item, outcome, ms, exits, at);
      return bailedOut === null && !signal?.aborted;
    },
    note(text) {
      report(() => reporter.note(printableLines(text)));
    },
  };
  const timer = setInterval(() => {
    if (current && hasHead) reporter.tick(current, Math.floor((performance.now() - begun.get(current.n)!) / 1000));
  }, 1000);
  let why: string | null;
  let failed: unknown;
  try {
    why = signal?.aborted ? null : await executor(items, sink);
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
    // Then it is the interruption's doing.
    if (!(await isInterrupted(signal))) {
      if (!hasHead && results.size === 0) throw error;
      failed = error;
      sink.note(`the run did not end as it should: ${why}`);
    }
  } finally {
    clearInterval(timer);
  }
  // A machine that its first check took down may not have said what it is.
  sink.facts(unknown);
  const outcome: Outcome = bailedOut
    ? { kind: 'skip', reason: `not run: ${bailedOut} failed, and --bail was given` }
    : notRun(why);
  const isCut = results.size < items.length && bailedOut === null && (await isInterrupted(signal));
  if (!isCut) for (const item of items) end(item, outcome, 0, 0);

  const now = performance.now();
  const epoch = (at: number) => new Date(performance.timeOrigin + at);
  const ordered = [...results.values()]
    .sort((a, b) => a.item.n - b.item.n)
    .map(({ item, result }) => ({ item, result, began: epoch(begun.get(item.n) ?? now) }));
  const summary: Summary = {
    totals: totalsOf(ordered.map(({ result }) => result)),
    began: epoch(began),
    ms: {
      all: now - began,
      untilFirstCheck: (firstCheck ?? now) - began,
      inChecks: walls.reduce((sum, { ms }) => sum + ms, 0),
    },
    slowest: walls.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST),
    error: failed,
    interrupted: isCut ? { why: (signal!.reason as Error).message, notRun: items.length - results.size } : null,
    results: ordered,
  };
  reporter.done(summary);
  return summary;
}

/** One that came while this thread was held up is heard in the event loop's next turns. */
async function isInterrupted(signal: AbortSignal | undefined): Promise<boolean> {
  if (!signal) return false;
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  return signal.aborted;
}

/** Of a check whose turn did not come; `why` is null if nobody said why. */
export function notRun(why: string | null): Outcome {
  const [reason = '', ...detail] = (why ?? 'the run ended before its turn').split('\n');
  return { kind: 'fail', cause: 'not-run', reason: `not run: ${reason}`, detail: detail.join('\n') };
}

/** Leaves out the checks that may take the kernel down, and says so. */
export function sparing(executor: Executor, checks: ReadonlyMap<string, Check>): Executor {
  return async (items, sink) => {
    const spared = items.filter((item) => checkOf(checks, item).destructive);
    const reason = 'it may take the kernel down: --destructive runs it, in the lab';
    for (const item of spared) if (!sink.outcome(item, { kind: 'skip', reason }, 0, 0)) return null;
    const left = items.filter((item) => !spared.includes(item));
    return left.length > 0 ? await executor(left, sink) : null;
  };
}
