/** What the outcome of a check means: its verdict, and the exit code of all of them. */
import { printableLines } from '../../base/text.ts';
import { type Check, shortfallOf } from '../check.ts';
import type { FailureKind, Outcome } from './protocol.ts';

export const verdicts = ['pass', 'fail', 'skip', 'xfail', 'xpass'] as const;
export type Verdict = (typeof verdicts)[number];

/** How many checks have which verdict. */
export type Totals = Record<Verdict, number>;

/** What became of a check. */
export interface Result {
  verdict: Verdict;
  /** Why it is no pass; one line. */
  reason: string | null;
  /** More lines: both sides, registers, the last exits; may be empty. */
  detail: string;
  cause: FailureKind | null;
  ms: number;
  /** Exits of all its guests. */
  exits: number;
}

/** What an outcome means for a check on a kernel of a profile; its words fit for a terminal, whoever printed them. */
export function judge(
  check: Check,
  outcome: Outcome,
  { profile, strict }: { profile: string; strict: boolean },
): Pick<Result, 'verdict' | 'reason' | 'detail' | 'cause'> {
  const shortfall = shortfallOf(check, profile);
  if (outcome.kind === 'skip')
    return { verdict: 'skip', reason: printableLines(outcome.reason), detail: '', cause: null };
  if (outcome.kind === 'pass') {
    if (!shortfall || shortfall.sometimes) return { verdict: 'pass', reason: null, detail: '', cause: null };
    const reason = `expected to fail, and did not: ${shortfall.reason} (${shortfall.source})`;
    return { verdict: 'xpass', reason, detail: '', cause: null };
  }
  const { cause } = outcome;
  const [reason, detail] = [outcome.reason, outcome.detail].map(printableLines) as [string, string];
  const known = shortfall && cause !== 'not-run' && (shortfall.cause?.test(`${reason}\n${detail}`) ?? true);
  if (known && !strict)
    return {
      verdict: 'xfail',
      reason: `${shortfall.reason} (${shortfall.source})`,
      detail: `${reason}\n${detail}`.trimEnd(),
      cause,
    };
  return { verdict: 'fail', reason, detail, cause };
}

export function totalsOf(results: Iterable<Pick<Result, 'verdict'>>): Totals {
  const totals: Totals = { pass: 0, fail: 0, skip: 0, xfail: 0, xpass: 0 };
  for (const { verdict } of results) totals[verdict] += 1;
  return totals;
}

/** The totals of several runs together. */
export function sumOf(runs: readonly Totals[]): Totals {
  const sum = totalsOf([]);
  for (const totals of runs) for (const verdict of verdicts) sum[verdict] += totals[verdict];
  return sum;
}

/** What the command ends with: 0 pass, 1 fail, 4 everything skipped. */
export function exitCodeOf(totals: Totals): 0 | 1 | 4 {
  if (totals.fail > 0) return 1;
  return totals.pass + totals.xfail + totals.xpass === 0 ? 4 : 0;
}

/** The check could not be carried out to its end: that is an error, and no failure of its claim. */
export function couldNotEnd({ cause }: Pick<Result, 'cause'>): boolean {
  return cause === 'crash' || cause === 'oops' || cause === 'error' || cause === 'not-run';
}
