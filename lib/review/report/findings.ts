/** What is wrong with a series, one entry for each thing, with what shows it again. */
import type { Review } from '../review.ts';
import type { Judged, SuiteRun } from '../suite.ts';

/** One thing that is wrong. */
export interface ReviewFinding {
  /** A check's name, a rule's number, or a question's name. */
  id: string;
  what: string;
  /** Checks that say the same, beside the first. */
  also: string[];
  lanes: string[];
  source: string;
  again: string;
  /** The smallest log. */
  log: string[];
  /** It was so without the series. */
  isOld: boolean;
}

const LOG_LINES = 6;

/** The findings of a review: what the suite found first, then the checklist. */
export function findingsOf(review: Review): ReviewFinding[] {
  return [...suiteFindings(review), ...answerFindings(review)];
}

function suiteFindings({ child, parent, profile }: Review): ReviewFinding[] {
  const groups = new Map<string, { check: Judged; lanes: Set<string>; ids: Set<string>; run: SuiteRun }>();
  for (const run of child.runs)
    for (const check of run.checks) {
      if (check.verdict !== 'fail' && check.verdict !== 'xfail') continue;
      // A known shortfall is one finding, however many checks show it.
      const name = check.verdict === 'xfail' ? check.reason! : check.id;
      const group = groups.get(name) ?? { check, lanes: new Set(), ids: new Set(), run };
      group.lanes.add(run.lane);
      group.ids.add(check.id);
      groups.set(name, group);
    }
  return [...groups].map(([, { check, lanes, ids, run }]) => {
    const before = parent?.runs.find(({ lane }) => lane === run.lane)?.checks.find(({ id }) => id === check.id);
    const words = check.verdict === 'xfail' ? check.reason! : `not so: ${check.claim}`;
    const log = check.verdict === 'xfail' ? check.detail : `${check.reason ?? ''}\n${check.detail}`;
    return {
      id: check.id,
      what: words,
      also: [...ids].filter((id) => id !== check.id),
      lanes: [...lanes],
      source: check.source,
      again: againOf(check, run.lane, profile, child.kernel!.image),
      log: shortest(log),
      isOld: before?.verdict === 'fail' || before?.verdict === 'xfail',
    };
  });
}

function againOf({ id, destructive }: Judged, lane: string, profile: string, image: string): string {
  const words = ['npx kvm-dsm test', id, '--on', lane, '--profile', profile, '--kernel', image, '--strict', '--seed 1'];
  return [...words, ...(destructive ? ['--destructive'] : [])].join(' ');
}

/** The first lines that say something. */
function shortest(text: string): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(0, LOG_LINES);
}

function answerFindings({ answers }: Review): ReviewFinding[] {
  return answers
    .filter(({ verdict, seen }) => verdict === 'broken' && !seen.every((line) => / on (vmx|svm): /.test(line)))
    .map(({ id, rule, looked, seen, again }) => ({
      id: /^\d+$/.test(id) ? `checklist ${id}` : id,
      what: `not kept: ${rule}`,
      also: [],
      lanes: [],
      source: looked,
      again,
      log: seen.slice(0, 12),
      isOld: false,
    }));
}
