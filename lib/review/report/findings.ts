/** What is wrong with a series, one entry for each thing, the worst first, with what shows it again. */
import type { LaneName } from '../../lab/index.ts';
import { probes } from '../../suite/run/probes.ts';
import type { Review } from '../found.ts';
import type { Judged, SuiteRun } from '../suite.ts';
import { checkAgain, commandOn } from './again.ts';

/** The kinds of findings, the worst first, with what a reply says over them. */
export const severities = {
  crash: 'Takes the kernel down',
  regression: 'Worked before the series',
  interface: 'The interface to user space, which cannot be changed later',
  behaviour: 'What it does',
  form: 'How it is made',
} as const;

export type Severity = keyof typeof severities;

/** One thing that is wrong. */
export interface ReviewFinding {
  severity: Severity;
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

const LOG_LINES = 4;

/** The findings of a review, by severity; of one severity, what the suite found stands before the checklist's. */
export function findingsOf(review: Review): ReviewFinding[] {
  const all = [...probeFindings(review), ...suiteFindings(review), ...answerFindings(review)];
  return Object.keys(severities).flatMap((severity) => all.filter((one) => one.severity === severity));
}

/** What the kernel was asked before any check, and did not survive or answer. */
function probeFindings(review: Review): ReviewFinding[] {
  return review.child.runs.flatMap(({ lane, facts }) =>
    Object.entries(facts?.failedProbes ?? {}).map(([name, why]): ReviewFinding => {
      const question = probes[name as keyof typeof probes];
      return {
        severity: /panic|oops|BUG|fault|froze|stood still|reset|ended/i.test(why) ? 'crash' : 'behaviour',
        id: `capability.probe.${name}`,
        what: `it does not survive to be asked ${question}`,
        also: [],
        lanes: [lane],
        source: 'what every program asks first',
        again: commandOn(review, lane, ['test', `capability.probe.${name}`], ['--strict']),
        log: shortest(why),
        isOld: false,
      };
    }),
  );
}

interface Group {
  check: Judged;
  lanes: Set<LaneName>;
  ids: Set<string>;
  run: SuiteRun;
}

function suiteFindings(review: Review): ReviewFinding[] {
  const groups = new Map<string, Group>();
  for (const run of review.child.runs)
    for (const check of run.checks) {
      if ((check.verdict !== 'fail' && check.verdict !== 'xfail') || isProbes(check, run)) continue;
      // What had no turn says nothing of the series.
      if (check.cause === 'not-run') continue;
      // A known shortfall is one finding, however many checks show it.
      const name = check.verdict === 'xfail' ? check.reason! : check.id;
      const group = groups.get(name) ?? { check, lanes: new Set(), ids: new Set(), run };
      group.lanes.add(run.lane);
      group.ids.add(check.id);
      groups.set(name, group);
    }
  return [...groups.values()].map(({ check, lanes, ids, run }) => {
    const before = review.parent?.runs.find(({ lane }) => lane === run.lane)?.checks.find(({ id }) => id === check.id);
    const log = check.verdict === 'xfail' ? check.detail : `${check.reason ?? ''}\n${check.detail}`;
    return {
      severity: severityOf(check, before),
      id: check.id,
      what: check.verdict === 'xfail' ? check.reason! : `not so: ${check.claim}`,
      also: [...ids].filter((id) => id !== check.id),
      lanes: [...lanes],
      source: check.source,
      again: checkAgain(review, run.lane, check),
      log: shortest(log),
      isOld: before?.verdict === 'fail' || before?.verdict === 'xfail',
    };
  });
}

/** It says only that a probe found out nothing, which is a finding of its own. */
function isProbes({ id, reason }: Judged, { facts }: SuiteRun): boolean {
  const failed = Object.entries(facts?.failedProbes ?? {});
  return failed.some(([name, why]) => id === `capability.probe.${name}` || reason?.includes(why));
}

function severityOf({ cause, id }: Judged, before: Judged | undefined): Severity {
  if (cause === 'oops' || /\.crash\./.test(id)) return 'crash';
  return before?.verdict === 'pass' ? 'regression' : 'behaviour';
}

function answerFindings({ answers }: Review): ReviewFinding[] {
  return answers
    .filter(({ verdict, seen }) => verdict === 'broken' && !seen.every((line) => / on (vmx|svm): /.test(line)))
    .map(({ id, rule, looked, seen, again }) => ({
      severity: /^(uapi\..*|3|5|10)$/.test(id) ? 'interface' : 'form',
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

/** The first lines that say something. */
function shortest(text: string): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.slice(0, LOG_LINES);
}
