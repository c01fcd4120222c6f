/** The JUnit report. */
import { subjectOf } from '../check.ts';
import { couldNotEnd } from '../run/judge.ts';
import { checkOf, nameOf } from '../run/plan.ts';
import { type CheckRow, type Head, interruptedText, type Reporter, type RowsReporter } from '../run/reporter.ts';
import { type Collected, collectingReporter } from './collected.ts';
import { headLines } from './head.ts';

/** JUnit XML, at the end: a test suite per subject. */
export function junitReporter(write: (text: string) => void): Reporter {
  return collectingReporter((part) => write(documentOf([part])));
}

/** The same of several rows, with a test suite per row and subject. */
export function junitRows(write: (text: string) => void): RowsReporter {
  const parts: Collected[] = [];
  return {
    row: () => collectingReporter((part) => parts.push(part)),
    done: () => write(documentOf(parts)),
  };
}

type Rows = readonly CheckRow[];

function documentOf(parts: readonly Collected[]): string {
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>'];
  const all = parts.flatMap(({ summary }) => summary.results);
  const ms = parts.reduce((sum, { summary }) => sum + summary.ms.all, 0);
  const interrupted = parts.find((part) => part.summary.interrupted !== null);
  lines.push(`<testsuites name="kvm-dsm"${counts(all, interrupted ? 1 : 0)} time="${seconds(ms)}">`);
  for (const { head, summary, notes } of parts) {
    const groups = [...bySuite(summary.results)];
    for (const [at, [name, rows]] of groups.entries()) {
      const whole = head.variant ? `${head.variant.name}.${name}` : name;
      // Of the whole run, for which the format has no place.
      lines.push(...suite(whole, rows, head, at === groups.length - 1 ? notes : []));
    }
  }
  if (interrupted) lines.push(...errorSuite(interrupted));
  return `${[...lines, '</testsuites>'].join('\n')}\n`;
}

function bySuite(results: Rows): Map<string, Rows> {
  const groups = new Map<string, Rows>();
  for (const row of results) {
    const name = subjectOf(row.item.id);
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return groups;
}

/** Only `skipped` is a word of a suite alone. `more`: errors that are no check's. */
function counts(rows: Rows, more = 0): string {
  const failed = rows.filter(({ result }) => result.verdict === 'fail');
  const errors = failed.filter(({ result }) => couldNotEnd(result)).length;
  return ` tests="${rows.length + more}" failures="${failed.length - errors}" errors="${errors + more}"`;
}

/** A run that was interrupted has a test case of its own, which is an error: what it did not come to has none. */
function errorSuite({ head, summary: { began, interrupted, results } }: Collected): string[] {
  const why = attribute(interruptedText(interrupted!, results.length));
  const more = ` skipped="0" timestamp="${timestamp(began)}" hostname="${attribute(head.facts.on)}"`;
  return [
    `  <testsuite name="run"${counts([], 1)}${more} time="0.000">`,
    '    <testcase name="run" classname="kvm-dsm.run" time="0.000">',
    `      <error message="${why}" type="interrupted"/>`,
    '    </testcase>',
    '  </testsuite>',
  ];
}

function suite(name: string, rows: Rows, head: Head, notes: readonly string[]): string[] {
  const ms = rows.reduce((sum, { result }) => sum + result.ms, 0);
  const skipped = rows.filter(({ result }) => result.verdict === 'skip' || result.verdict === 'xfail').length;
  const began = new Date(Math.min(...rows.map((row) => row.began.getTime())));
  const more = ` skipped="${skipped}" timestamp="${timestamp(began)}" hostname="${attribute(head.facts.on)}"`;
  return [
    `  <testsuite name="${attribute(name)}"${counts(rows)}${more} time="${seconds(ms)}">`,
    '    <properties>',
    ...headLines(head).map(([key, value]) => `      <property name="${attribute(key)}" value="${attribute(value)}"/>`),
    '    </properties>',
    ...rows.flatMap((row) => testcase(row, head)),
    ...(notes.length > 0 ? [`    <system-out>${text(notes.join('\n'))}</system-out>`] : []),
    '  </testsuite>',
  ];
}

/** In UTC, without a fraction or a zone: no schema takes more. */
function timestamp(date: Date): string {
  return date.toISOString().slice(0, 19);
}

function testcase({ item, result }: CheckRow, head: Head): string[] {
  const { claim, source } = checkOf(head.checks, item);
  const { verdict, reason, detail, cause } = result;
  const name = attribute(nameOf(item, head.repeat));
  const row = head.variant ? `${attribute(head.variant.name)}.` : '';
  const open = `    <testcase name="${name}" classname="kvm-dsm.${row}${attribute(subjectOf(item.id))}" time="${seconds(result.ms)}"`;
  if (verdict === 'pass') return [`${open}/>`];
  const message = attribute(verdict === 'skip' || verdict === 'fail' ? (reason ?? '') : `${verdict}: ${reason}`);
  const body = text([`${claim} (${source})`, reason, detail].filter(Boolean).join('\n'));
  const kind = couldNotEnd(result) ? 'error' : 'failure';
  const inner =
    verdict === 'fail'
      ? `<${kind} message="${message}" type="${cause}">${body}</${kind}>`
      : verdict === 'xpass'
        ? `<system-out>${message}</system-out>`
        : `<skipped message="${message}"/>`;
  return [`${open}>`, `      ${inner}`, '    </testcase>'];
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}

/** XML has no way at all to write most control characters, nor half of a surrogate pair. */
const ILLEGAL = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;

function text(value: string): string {
  const legal = value.replace(ILLEGAL, '?');
  return legal.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function attribute(value: string): string {
  return text(value)
    .replaceAll('"', '&quot;')
    .replaceAll('\t', '&#9;')
    .replaceAll('\n', '&#10;')
    .replaceAll('\r', '&#13;');
}
