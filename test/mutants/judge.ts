/** What the verdicts under a fault mean. */

import type { Fault } from '../../lib/suite/faults/fault.ts';
import { faults } from '../../lib/suite/faults/table.ts';
import { fits } from '../../lib/suite/run/plan.ts';
import type { MutantRecord, Seen } from './record.ts';

/** How the suite did with one fault. */
export interface Judgement {
  fault: string;
  /** False: the checks whose claim it breaks, and which were tried, are all skipped without it: what it spoils is not on this kernel. */
  applies: boolean;
  /** Checks that fail under it, and whose claim it breaks. */
  caught: string[];
  /** Checks that say something else under it than without, and whose claim it does not break. */
  withoutCause: string[];
  /** The check that took the machine down. */
  wedged: string | null;
}

/** Whether a check says under a fault what it says without. */
function changed(before: Seen, under: Seen): boolean {
  return before.verdict !== under.verdict;
}

/** A check catches a fault if `kvm-dsm test` fails because of it. */
function fires(before: Seen, under: Seen): boolean {
  return changed(before, under) && under.verdict === 'fail';
}

export function judgeFault({ name, breaks }: Fault, record: MutantRecord): Judgement {
  const seen = Object.entries(record.faults[name] ?? {});
  const before = (id: string) => record.baseline[id]!;
  const mayShow = (id: string) => breaks.some((glob) => fits(id, glob));
  const showing = Object.entries(record.baseline).filter(([id]) => mayShow(id));
  return {
    fault: name,
    applies: showing.length === 0 || showing.some(([, { verdict }]) => verdict !== 'skip'),
    caught: seen.filter(([id, under]) => mayShow(id) && fires(before(id), under)).map(([id]) => id),
    withoutCause: seen.filter(([id, under]) => !mayShow(id) && changed(before(id), under)).map(([id]) => id),
    wedged: record.wedged[name] ?? null,
  };
}

/** Of every fault that was tried, in the order of their numbers. */
export const judgementsOf = (record: MutantRecord): Judgement[] =>
  faults.filter(({ name }) => name in record.faults).map((fault) => judgeFault(fault, record));

/** By check: the faults that nothing would catch without it. */
export function leaveOneOut(judgements: readonly Judgement[]): Map<string, string[]> {
  const only = new Map<string, string[]>();
  for (const { fault, caught } of judgements) {
    if (caught.length !== 1) continue;
    only.set(caught[0]!, [...(only.get(caught[0]!) ?? []), fault]);
  }
  return only;
}

/** Checks that fail, or pass where a shortfall was expected, without any fault. */
export function unsound({ baseline }: MutantRecord): string[] {
  return Object.entries(baseline)
    .filter(([, { verdict }]) => verdict === 'fail' || verdict === 'xpass')
    .map(([id]) => id);
}
