/** A review as a plain-text reply, to be put into a mail. */
import { printable } from '../../base/text.ts';
import { elapsed } from '../../lab/progress.ts';
import type { Totals } from '../../suite/run/judge.ts';
import type { RuleAnswer } from '../checklist/answer.ts';
import { type Review, type Side, verdictOf } from '../review.ts';
import type { SuiteRun } from '../suite.ts';
import { findingsOf, type ReviewFinding } from './findings.ts';
import { logged, wrapped, wrappedCommand } from './wrap.ts';

const marks: Record<RuleAnswer['verdict'], string> = {
  kept: '[kept]',
  broken: '[BROKEN]',
  'not applicable': '[n/a]',
  person: '[by a person]',
};

/** The reply; `version` is this package's. */
export function replyOf(review: Review, version: string): string {
  const findings = findingsOf(review);
  const lines = [...headLines(review, version), '', ...verdictLines(review, findings)];
  if (findings.length > 0) lines.push('', ...findings.flatMap(findingLines));
  if (review.answers.length > 0) lines.push('', ...checklistLines(review.answers));
  if (review.child.runs.length > 0) lines.push('', ...suiteLines(review));
  return `${lines.map(printable).join('\n')}\n`;
}

function headLines(review: Review, version: string): string[] {
  const { title, version: tags, patches, base, profile, symbols, notes, seconds } = review;
  const count = patches.length === 1 ? '1 patch' : `${patches.length} patches`;
  return [
    ...wrapped(`${title}${tags ? ` [${tags}]` : ''}, ${count}`, 'Series:  '),
    ...wrapped(base, 'Base:    '),
    ...(symbols.length > 0 ? wrapped(symbols.map((symbol) => `CONFIG_${symbol}=y`).join(' '), 'Config:  ') : []),
    ...(profile ? [`Profile: ${profile}`] : []),
    ...wrapped(`kvm-dsm ${version}, ${elapsed(seconds * 1000)}`, 'By:      '),
    ...notes.flatMap((note) => wrapped(note, 'Note:    ')),
  ];
}

function verdictLines(review: Review, findings: readonly ReviewFinding[]): string[] {
  const verdict = verdictOf(review);
  const { apply, build, child } = review;
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
  if (verdict === 'does not boot')
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
  if (verdict === 'no finding') return ['Verdict: it builds and boots; nothing was found.'];
  const forwards = child.runs.filter(({ facts }) => facts?.forwards).map(({ lane }) => lane);
  const works = forwards.length > 0 ? ` ICR writes come out on ${forwards.join(' and ')}.` : '';
  const count = findings.length === 1 ? '1 finding' : `${findings.length} findings`;
  return wrapped(`Verdict: it builds and boots.${works} ${count}.`);
}

function findingLines({ id, what, also, lanes, source, again, log, isOld }: ReviewFinding, index: number): string[] {
  const where = lanes.length > 0 ? ` (${lanes.join(', ')})` : '';
  const old = isOld ? ' It was so before.' : '';
  return [
    ...(index > 0 ? [''] : []),
    ...wrapped(`${id}${where}: ${what}.${old}`, `${index + 1}. `),
    ...(also.length > 0 ? wrapped(also.join(', '), '  as well: ') : []),
    ...wrapped(source, '  source: '),
    ...(again ? wrappedCommand(again) : []),
    ...log.flatMap(logged),
  ];
}

function checklistLines(answers: readonly RuleAnswer[]): string[] {
  const lines = ['Documentation/virt/kvm/review-checklist.rst, and what else is asked', ''];
  for (const { id, rule, looked, seen, verdict } of answers) {
    lines.push(...wrapped(`${id.padEnd(3)} ${rule} ${marks[verdict]}`));
    lines.push(...wrapped(looked, '      looked at: '));
    for (const line of seen.slice(0, 4)) lines.push(...wrapped(line, '      seen: '));
    if (seen.length > 4) lines.push(`      seen: and ${seen.length - 4} lines more`);
  }
  return lines;
}

function suiteLines({ parent, child }: Review): string[] {
  const lines = ['The suite, before and with the series', ''];
  for (const run of child.runs) {
    const before = parent?.runs.find(({ lane }) => lane === run.lane);
    lines.push(...wrapped(`${run.lane}: ${run.facts ? `${run.facts.cpu}, Linux ${run.facts.kernel}` : 'not booted'}`));
    if (before) lines.push(...wrapped(totalsText(before), '  before: '));
    lines.push(...wrapped(totalsText(run), '  with:   '));
    if (before) lines.push(...changedLines(before, run));
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
  const broken: string[] = [];
  for (const { id, verdict } of now.checks) {
    const was = old.get(id);
    if (was === undefined || was === verdict) continue;
    changes.set(`${was} -> ${verdict}`, (changes.get(`${was} -> ${verdict}`) ?? 0) + 1);
    if (was === 'pass' && verdict !== 'skip') broken.push(id);
  }
  const words = [...changes].map(([change, count]) => `${change}: ${count}`).join(', ');
  const lost = broken.length > 0 ? wrapped(broken.join(', '), '  BROKEN BY THE SERIES: ') : [];
  return [...wrapped(words || 'nothing', '  changed: '), ...lost];
}

/** The sides of a review that have a kernel, by what they are called. */
export function sidesOf({ parent, child }: Review): [string, Side][] {
  return [...(parent ? [['parent', parent] as [string, Side]] : []), ['child', child]];
}
