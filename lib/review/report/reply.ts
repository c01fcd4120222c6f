/** A review as a plain-text reply, to be put into a mail. */
import { plural, printable } from '../../base/text.ts';
import { elapsed } from '../../lab/progress.ts';
import type { Totals } from '../../suite/run/judge.ts';
import type { RuleAnswer } from '../checklist/answer.ts';
import { isCutShort, type Review, type Side, verdictOf } from '../found.ts';
import type { SuiteRun } from '../suite.ts';
import { findingsOf, type ReviewFinding, severities } from './findings.ts';
import { logged, wrapped, wrappedCommand } from './wrap.ts';

const marks: Record<RuleAnswer['verdict'], string> = {
  kept: 'kept',
  broken: 'BROKEN',
  'not applicable': 'not applicable',
  person: 'left to a person',
};

/** Other checks that a finding names; the JSON has all of them. */
const ALSO = 3;

/** The reply; `version` is this package's. */
export function replyOf(review: Review, version: string): string {
  const findings = findingsOf(review);
  const lines = [...headLines(review, version), '', ...verdictLines(review, findings), ...findingsLines(findings)];
  if (review.answers.length > 0) lines.push('', ...checklistLines(review.answers, findings));
  if (review.child.runs.length > 0) lines.push('', ...suiteLines(review));
  return `${lines.map(printable).join('\n')}\n`;
}

function headLines(review: Review, version: string): string[] {
  const { title, version: tags, patches, base, profile, symbols, notes, seconds } = review;
  const count = patches.length === 1 ? '1 patch' : `${patches.length} patches`;
  const told = patches.length === 0 ? '' : `, ${count}`;
  return [
    ...wrapped(`${title}${tags ? ` [${tags}]` : ''}${told}`, 'Series:  '),
    ...wrapped(base, 'Base:    '),
    ...(symbols.length > 0 ? wrapped(symbols.map((symbol) => `CONFIG_${symbol}=y`).join(' '), 'Config:  ') : []),
    ...(profile ? [`Profile: ${profile}`] : []),
    ...wrapped(`kvm-dsm ${version}, ${elapsed(seconds * 1000)}`, 'By:      '),
    ...notes.flatMap((note) => wrapped(note, 'Note:    ')),
  ];
}

function verdictLines(review: Review, findings: readonly ReviewFinding[]): string[] {
  const { apply, build, child, looksOnly } = review;
  if (apply) {
    const where = apply.hunk === null ? apply.file : `${apply.file}, hunk ${apply.hunk}`;
    return [
      'Verdict: the series DOES NOT APPLY.',
      '',
      ...wrapped(apply.patch, '  patch:  '),
      ...wrapped(where, '  file:   '),
      ...wrapped(apply.reason, '  reason: '),
      ...apply.excerpt.flatMap(logged),
    ];
  }
  if (build)
    return [
      'Verdict: the series DOES NOT BUILD; what it stands on does.',
      '',
      ...wrapped(build.first, '  first error: '),
      ...build.lines.flatMap(logged),
    ];
  if (verdictOf(review) === 'does not boot')
    return child.runs.flatMap(({ lane, boot }) =>
      boot
        ? [
            `Verdict: the kernel with the series DOES NOT BOOT on ${lane}.`,
            '',
            ...wrapped(boot.reason, '  reason: '),
            '  The last lines of its console:',
            ...boot.console.flatMap(logged),
          ]
        : [`It boots on ${lane}.`],
    );
  const builds = looksOnly ? 'it applies, and was not built' : 'it builds and boots';
  const cut = child.runs.filter(isCutShort).flatMap(({ lane, checks, error }) => {
    const left = checks.filter(({ cause }) => cause === 'not-run');
    const why = error ?? left[0]!.reason!;
    return wrapped(`On ${lane} ${left.length} of ${plural(checks.length, 'check')} HAD NO TURN: ${why}`);
  });
  if (findings.length === 0)
    return [`Verdict: ${builds}; nothing was found${cut.length > 0 ? ' in what was run' : ''}.`, ...cut];
  const died = child.runs.filter(({ facts }) => Object.keys(facts?.failedProbes ?? {}).length > 0);
  const fate = died.length > 0 ? ` IT DIES ON ${died.map(({ lane }) => lane).join(' and ')} WHEN IT IS PROBED.` : '';
  const forwards = child.runs.filter(({ facts }) => facts?.forwards).map(({ lane }) => lane);
  const works = forwards.length > 0 ? ` ICR writes come out on ${forwards.join(' and ')}.` : '';
  const count = findings.length === 1 ? '1 finding' : `${findings.length} findings`;
  return [...wrapped(`Verdict: ${builds}.${fate}${works} ${count}, the worst first.`), ...cut];
}

/** Each kind of finding below its words. */
function findingsLines(findings: readonly ReviewFinding[]): string[] {
  return findings.flatMap((finding, index) => {
    const before = findings[index - 1];
    const head = before?.severity === finding.severity ? [] : [`== ${severities[finding.severity]}`, ''];
    // One command may show several: it stands below the first.
    const again = before?.again === finding.again ? '' : finding.again;
    return ['', ...head, ...findingLines({ ...finding, again }, index + 1)];
  });
}

function findingLines(finding: ReviewFinding, number: number): string[] {
  const { id, what, also, lanes, source, again, log, isOld } = finding;
  const where = lanes.length > 0 ? ` (${lanes.join(', ')})` : '';
  const more = also.length > ALSO ? `, and ${also.length - ALSO} more` : '';
  return [
    ...wrapped(`${id}${where}: ${what}.${isOld ? ' It was so before.' : ''}`, `${number}. `),
    ...(also.length > 0 ? wrapped(`${also.slice(0, ALSO).join(', ')}${more}`, '   also: ') : []),
    ...wrapped(source, '   source: '),
    ...(again ? wrappedCommand(again) : []),
    ...log.flatMap(logged),
  ];
}

/** Each rule; of one that is broken the finding tells what was seen. */
function checklistLines(answers: readonly RuleAnswer[], findings: readonly ReviewFinding[]): string[] {
  const lines = ['== Documentation/virt/kvm/review-checklist.rst, and what else is asked', ''];
  for (const { id, rule, looked, seen, verdict } of answers) {
    const at = findings.findIndex((finding) => finding.id === id || finding.id === `checklist ${id}`);
    const where = at < 0 ? '' : `: finding ${at + 1}`;
    lines.push(...wrapped(`${rule}: ${marks[verdict]}${where}`, /^\d/.test(id) ? id.padEnd(4) : `${id}: `));
    lines.push(...wrapped(looked, '    looked at: '));
    if (at >= 0) continue;
    for (const line of seen.slice(0, 4)) lines.push(...wrapped(line, '    seen: '));
    if (seen.length > 4) lines.push(`    seen: and ${seen.length - 4} more`);
  }
  return lines;
}

function suiteLines({ parent, child }: Review): string[] {
  const lines = ['== The suite, before and with the series', ''];
  for (const run of child.runs) {
    const before = parent?.runs.find(({ lane }) => lane === run.lane);
    lines.push(...wrapped(`${run.lane}: ${run.facts ? `${run.facts.cpu}, Linux ${run.facts.kernel}` : 'not booted'}`));
    if (before) lines.push(...wrapped(totalsText(before), '  before: '));
    lines.push(...wrapped(totalsText(run), '  with:   '));
    if (before) lines.push(...changedLines(before, run));
    for (const note of run.notes) lines.push(...wrapped(note, '  note:    '));
  }
  return lines;
}

function totalsText({ totals, boot, seconds }: SuiteRun): string {
  if (boot) return `did not boot: ${boot.reason}`;
  const words: (keyof Totals)[] = ['pass', 'fail', 'xfail', 'xpass', 'skip'];
  return `${words.map((name) => `${totals[name]} ${name}`).join(', ')} in ${elapsed(seconds * 1000)}`;
}

/** What said something else before. */
function changedLines(before: SuiteRun, now: SuiteRun): string[] {
  const old = new Map(before.checks.map(({ id, verdict }) => [id, verdict]));
  const changes = new Map<string, number>();
  for (const { id, verdict } of now.checks) {
    const was = old.get(id);
    if (was === undefined || was === verdict) continue;
    changes.set(`${was} -> ${verdict}`, (changes.get(`${was} -> ${verdict}`) ?? 0) + 1);
  }
  const words = [...changes].map(([change, count]) => `${change}: ${count}`).join(', ');
  return wrapped(words || 'nothing', '  changed: ');
}

/** The sides of a review that have a kernel, by what they are called. */
export function sidesOf({ parent, child }: Review): [string, Side][] {
  return [...(parent ? [['parent', parent] as [string, Side]] : []), ['child', child]];
}
