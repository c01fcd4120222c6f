/** The KTAP report. */
import { subjectOf } from '../check.ts';
import { exitCodeOf, type Result, sumOf } from '../run/judge.ts';
import { bySubject, checkOf, nameOf } from '../run/plan.ts';
import type { Item } from '../run/protocol.ts';
import { type Head, interruptedText, type Reporter, type RowsReporter, type Summary } from '../run/reporter.ts';
import { headLines } from './head.ts';

/** KTAP version 1, one test per subject with its checks below it, and the totals that kselftest prints. */
export function ktapReporter(write: (text: string) => void): Reporter & { unfinished(): void } {
  let head: Head;
  let groups: Map<string, Item[]>;
  /** Results of subjects that have not ended: a shuffled run goes from one to another. */
  const open = new Map<string, { item: Item; result: Result }[]>();
  let ended = 0;
  /** The results of subjects that will not come to their end: below a plan that says so. */
  const unfinished = () => {
    for (const [name, rows] of open) write(pointsText(rows, groups.get(name)!.length, head));
    open.clear();
  };
  return {
    head(given) {
      head = given;
      groups = bySubject(head.items);
      write('KTAP version 1\n');
      for (const [name, value] of headLines(head)) write(`# ${name}: ${plain(value)}\n`);
      write(`1..${groups.size}\n`);
    },
    start() {},
    end(item, result) {
      const name = subjectOf(item.id);
      const group = open.get(name) ?? [];
      group.push({ item, result });
      open.set(name, group);
      if (group.length < groups.get(name)!.length) return;
      open.delete(name);
      ended += 1;
      write(subjectText(name, ended, group, head));
    },
    note(text) {
      for (const line of text.split('\n')) write(`# ${plain(line)}\n`);
    },
    tick() {},
    unfinished,
    done(summary) {
      unfinished();
      write(totalsText([summary]));
      write(bailOutText([summary]));
    },
  };
}

/** A test per row, with the report of that row below it. */
export function ktapRows(write: (text: string) => void, count: number): RowsReporter {
  let number = 0;
  write(`KTAP version 1\n1..${count}\n`);
  return {
    row({ name }) {
      number += 1;
      const own = ktapReporter((text) => write(text.replace(/^(?=.)/gm, '  ')));
      return {
        ...own,
        done({ totals, error, interrupted }) {
          own.unfinished();
          // It has no end, and so no result.
          if (interrupted) return;
          const code = exitCodeOf(totals);
          const failed = code === 1 || error !== undefined;
          write(
            `${failed ? 'not ok' : 'ok'} ${number} ${name}${code === 4 ? ' # SKIP every check was skipped' : ''}\n`,
          );
        },
      };
    },
    done(summaries) {
      write(totalsText(summaries));
      write(bailOutText(summaries));
    },
  };
}

/** As kselftest prints it. */
function totalsText(summaries: readonly Summary[]): string {
  const { pass, fail, xfail, xpass, skip } = sumOf(summaries.map(({ totals }) => totals));
  const results = summaries.flatMap((summary) => summary.results);
  const errors = results.filter(({ result }) => result.verdict === 'fail' && isError(result)).length;
  return `# Totals: pass:${pass} fail:${fail - errors} xfail:${xfail} xpass:${xpass} skip:${skip} error:${errors}\n`;
}

type Row = { item: Item; result: Result };

function subjectText(name: string, number: number, rows: readonly Row[], head: Head): string {
  const failed = rows.some(({ result }) => result.verdict === 'fail');
  const skipped = rows.every(({ result }) => result.verdict === 'skip');
  const line = `${failed ? 'not ok' : 'ok'} ${number} ${name}${skipped ? ' # SKIP every check was skipped' : ''}`;
  return `${pointsText(rows, rows.length, head)}${line}\n`;
}

/** The checks of a subject, which stand below it. @param planned how many it has */
function pointsText(rows: readonly Row[], planned: number, head: Head): string {
  const lines = ['KTAP version 1', `1..${planned}`, ...rows.flatMap((row, i) => rowLines(row, i + 1, head))];
  return `${lines.map((text) => `  ${text}`).join('\n')}\n`;
}

/** As kselftest ends early. */
function bailOutText(summaries: readonly Summary[]): string {
  const last = summaries.at(-1);
  return last?.interrupted ? `Bail out! ${plain(interruptedText(last.interrupted, last.results.length))}\n` : '';
}

function rowLines({ item, result }: Row, number: number, head: Head): string[] {
  const point = `${result.verdict === 'fail' ? 'not ok' : 'ok'} ${number} ${nameOf(item, head.repeat)}${directive(result)}`;
  if (result.verdict === 'pass' || result.verdict === 'skip') return [point];
  const { claim, source } = checkOf(head.checks, item);
  const { verdict, reason, detail } = result;
  const words = [`${verdict}: ${reason}`, `claim: ${claim} (${source})`, ...detail.split('\n')];
  // Diagnostics stand before the result that they are about.
  return [...words.filter((line) => line !== '').map((line) => `# ${plain(line)}`), point];
}

/** As kselftest's own functions write it: a known failure is ok. */
function directive(result: Result): string {
  const { verdict, reason, cause } = result;
  const text = plain(reason ?? '').replaceAll('#', '');
  if (verdict === 'skip') return ` # SKIP ${text}`;
  if (verdict === 'xfail') return ` # XFAIL ${text}`;
  if (verdict !== 'fail') return '';
  if (cause === 'deadline') return ` # TIMEOUT ${text}`;
  return isError(result) ? ` # ERROR ${text}` : '';
}

/** The check could not be carried out to its end. */
function isError({ cause }: Result): boolean {
  return cause === 'crash' || cause === 'oops' || cause === 'error' || cause === 'not-run';
}

function plain(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
