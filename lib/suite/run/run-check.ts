/** One check, in this process. */
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { RunBudget } from '../../base/budget.ts';
import { Deadline } from '../../base/deadline.ts';
import { DeadlineError, KvmDsmError, UnsupportedError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';
import { ExpectationError } from '../../script/errors.ts';
import { Session } from '../../script/session.ts';
import { type Check, deadlineOf } from '../check.ts';
import { CheckError, Skipped } from '../errors.ts';
import { CheckContext } from '../kit/context.ts';
import type { TestedHost } from '../kit/needs.ts';
import type { CheckKernel } from './check-kernel.ts';
import type { FailureKind, Outcome } from './protocol.ts';

/** What one check came to in this process. */
export interface CheckRun {
  outcome: Outcome;
  ms: number;
  exits: number;
  /** False: something of it still goes on, and no other check should share its process. */
  over: boolean;
}

export interface CheckOptions {
  device: string;
  profile: DsmProfile;
  seed: number;
  thorough: boolean;
  /** If it fails, its outcome has a trace. */
  traced: boolean;
  /** With the kernel's own events. */
  kernel?: CheckKernel | undefined;
}

/** Runs one check in this process. Never throws; a check that hangs in native code never returns. */
export async function runCheck(
  check: Check,
  world: TestedHost,
  { device, profile, seed, thorough, traced, kernel }: CheckOptions,
): Promise<CheckRun> {
  const missing = (check.needs ?? []).flatMap((need) => need.missing(world) ?? []);
  if (missing.length > 0)
    return { outcome: { kind: 'skip', reason: [...new Set(missing)].join('; ') }, ms: 0, exits: 0, over: true };
  kernel?.begin();
  const began = performance.now();
  const limit = deadlineOf(check, thorough);
  const session = new Session({ device, profile, budget: new RunBudget(limit) });
  const ctx = session.run(() => CheckContext.of(world, seed, thorough));
  // The guests' own deadline comes first: it has a report.
  using deadline = new Deadline(limit + ASYNC_GRACE, () => LATE);
  let outcome: Outcome;
  let over = true;
  try {
    const answer: unknown = await deadline.keep(session.run(() => Promise.resolve().then(() => check.run(ctx))));
    if (answer !== undefined)
      throw new CheckError(
        `the check answered ${show(answer)}, and nobody looks at that: it throws if its claim does not hold`,
      );
    const idle = ctx.provedNothing();
    outcome = idle === null ? { kind: 'pass' } : failure('nothing', `proved nothing: ${idle}`, ctx.report());
  } catch (error) {
    over = error !== LATE;
    outcome = over ? outcomeOf(error, ctx) : failure('deadline', `it did not end within ${limit} ms`, ctx.report());
  }
  const exits = ctx.exits;
  if (traced && outcome.kind === 'fail') outcome = { ...outcome, trace: ctx.traceLines(kernel) };
  try {
    ctx.close();
  } catch (error) {
    over = false;
    if (outcome.kind !== 'fail') outcome = outcomeOf(error, ctx);
  }
  return { outcome, ms: Math.round(performance.now() - began), exits, over };
}

const ASYNC_GRACE = 500;
/** A check that has not ended. */
const LATE = Symbol();

function failure(cause: FailureKind, reason: string, detail: readonly string[]): Outcome {
  return { kind: 'fail', cause, reason, detail: detail.join('\n') };
}

/** What an error that a check threw means. */
function outcomeOf(error: unknown, ctx: CheckContext): Outcome {
  if (error instanceof Skipped) return { kind: 'skip', reason: error.message };
  if (error instanceof UnsupportedError) return { kind: 'skip', reason: error.message };
  if (!(error instanceof KvmDsmError)) return failure('error', ...strange(error, ctx));
  const [reason = '', ...rest] = error.message.split('\n');
  const cause = error instanceof DeadlineError ? 'deadline' : 'claim';
  // It ends with a diagram, if it is one.
  const { report } = error;
  // An expectation shows the exits already.
  const more = error instanceof ExpectationError ? [] : ctx.report(report === '');
  return failure(
    cause,
    reason,
    [...rest, ...more, report].filter((line) => line !== ''),
  );
}

/** An error that is not of this package, mostly a fault of the check. */
function strange(error: unknown, ctx: CheckContext): [string, string[]] {
  if (!(error instanceof Error)) return [`it threw ${String(error)}`, ctx.report()];
  const [reason = ''] = error.message.split('\n');
  return [`${error.name}: ${reason}`, [error.stack ?? '', ...ctx.report()]];
}
