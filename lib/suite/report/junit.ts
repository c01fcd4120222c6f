/** The JUnit report. */
import { subjectOf } from '../check.ts';
import { checkOf, nameOf } from '../run/plan.ts';
import { type Head, interruptedText, type Reporter, type RowsReporter, type Summary } from '../run/reporter.ts';
import { headLines } from './head.ts';

/** What one run comes to. */
interface Part {
  head: Head;
  summary: Summary;
  notes: readonly string[];
}

/** JUnit XML, at the end: a test suite per subject. */
export function junitReporter(write: (text: string) => void): Reporter {
  return partReporter((part) => write(documentOf([part])));
}

/** The same of several rows, with a test suite per row and subject. */
export function junitRows(write: (text: string) => void): RowsReporter {
  const parts: Part[] = [];
  return {
    row: () => partReporter((part) => parts.push(part)),
    done: () => write(documentOf(parts)),
  };
}

function partReporter(take: (part: Part) => void): Reporter {
  let head: Head;
  const notes: string[] = [];
  return {
    head(given) {
      head = given;
    },
    start() {},
    end() {},
    note(text) {
      notes.push(text);
    },
    tick() {},
    done(summary) {
      take({ head, summary, notes });
    },
  };
}

type Rows = Summary['results'];

function documentOf(parts: readonly Part[]): string {
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>'];
  const all = parts.flatMap(({ summary }) => summary.results);
  const ms = parts.reduce((sum, { summary }) => sum + summary.ms.all, 0);
  const interrupted = parts.find((part) => part.summary.interrupted !== null);
  lines.push(`<testsuites name="kvm-dsm"${counts(all, interrupted ? 1 : 0)} time="${seconds(ms)}">`);
  for (const { head, summary } of parts) {
    const groups = bySuite(summary.results);
    for (const [name, rows] of groups)
      lines.push(...suite(head.variant ? `${head.variant.name}.${name}` : name, rows, head));
  }
  if (interrupted) lines.push(...errorSuite(interrupted));
  const notes = parts.flatMap((part) => part.notes);
  if (notes.length > 0) lines.push(`  <system-out>${text(notes.join('\n'))}</system-out>`);
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

function counts(rows: Rows, errors = 0): string {
  const failures = rows.filter(({ result }) => result.verdict === 'fail').length;
  const skipped = rows.filter(({ result }) => result.verdict === 'skip' || result.verdict === 'xfail').length;
  return ` tests="${rows.length + errors}" failures="${failures}" errors="${errors}" skipped="${skipped}"`;
}

/** A run that was interrupted has a test case of its own, which is an error: what it did not come to has none. */
function errorSuite({ head, summary: { interrupted, results } }: Part): string[] {
  const why = attribute(interruptedText(interrupted!, results.length));
  const hostname = attribute(head.facts.on);
  return [
    `  <testsuite name="run"${counts([], 1)} time="0.000" hostname="${hostname}">`,
    '    <testcase name="run" classname="kvm-dsm.run" time="0.000">',
    `      <error message="${why}" type="interrupted"/>`,
    '    </testcase>',
    '  </testsuite>',
  ];
}

function suite(name: string, rows: Rows, head: Head): string[] {
  const ms = rows.reduce((sum, { result }) => sum + result.ms, 0);
  const hostname = attribute(head.facts.on);
  return [
    `  <testsuite name="${attribute(name)}"${counts(rows)} time="${seconds(ms)}" hostname="${hostname}">`,
    '    <properties>',
    ...headLines(head).map(([key, value]) => `      <property name="${attribute(key)}" value="${attribute(value)}"/>`),
    '    </properties>',
    ...rows.flatMap((row) => testcase(row, head)),
    '  </testsuite>',
  ];
}

function testcase({ item, result }: Rows[number], head: Head): string[] {
  const { claim, source } = checkOf(head.checks, item);
  const { verdict, reason, detail, cause } = result;
  const name = attribute(nameOf(item, head.repeat));
  const row = head.variant ? `${attribute(head.variant.name)}.` : '';
  const open = `    <testcase name="${name}" classname="kvm-dsm.${row}${attribute(subjectOf(item.id))}" time="${seconds(result.ms)}"`;
  if (verdict === 'pass') return [`${open}/>`];
  const message = attribute(verdict === 'skip' || verdict === 'fail' ? (reason ?? '') : `${verdict}: ${reason}`);
  const body = text([`${claim} (${source})`, reason, detail].filter(Boolean).join('\n'));
  const inner =
    verdict === 'fail'
      ? `<failure message="${message}" type="${cause}">${body}</failure>`
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
