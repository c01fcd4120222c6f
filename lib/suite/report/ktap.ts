/** The KTAP report. */
import { subjectOf } from '../check.ts';
import { couldNotEnd, exitCodeOf, type Result, sumOf } from '../run/judge.ts';
import { bySubject, checkOf, nameOf } from '../run/plan.ts';
import type { Item } from '../run/protocol.ts';
import {
  type CheckRow,
  type Head,
  interruptedText,
  type Reporter,
  type RowsReporter,
  type Summary,
} from '../run/reporter.ts';
import { headLines } from './head.ts';

/** What came of a subject's checks so far, and the lines that are held back: another subject's turn is not over. */
interface Group {
  results: Result[];
  held: string[];
}

/**
 * KTAP version 1, one test per subject with its checks below it, and the totals that kselftest prints. Subjects come in the order of the
 * plan: of the one whose turn it is a check stands there as soon as it has ended, and what has ended of a later one is held back.
 */
export function ktapReporter(write: (text: string) => void): Reporter & { unfinished(): void } {
  let head: Head;
  let planned: Map<string, Item[]>;
  let order: readonly string[];
  const groups = new Map<string, Group>();
  /** How many subjects are over. */
  let over = 0;
  const say = (lines: readonly string[]) => write(lines.map((line) => `  ${line}\n`).join(''));
  const groupOf = (name: string): Group => {
    const begin = ['KTAP version 1', `# Subtest: ${name}`, `1..${planned.get(name)!.length}`];
    const group = groups.get(name) ?? { results: [], held: begin };
    groups.set(name, group);
    return group;
  };
  /** Tells what is held back of the subject whose turn it is, and of those after it while they are complete. */
  const tell = () => {
    for (let name = order[over]; name !== undefined; name = order[over]) {
      const group = groups.get(name);
      if (!group) return;
      say(group.held.splice(0));
      if (group.results.length < planned.get(name)!.length) return;
      over += 1;
      write(`${subjectLine(name, over, group.results)}\n`);
    }
  };
  /** Of subjects that will not come to their end: below a plan that says so. */
  const unfinished = () => {
    for (const { held } of groups.values()) say(held.splice(0));
  };
  return {
    head(given) {
      head = given;
      planned = bySubject(head.items);
      order = [...planned.keys()];
      write('KTAP version 1\n');
      for (const [name, value] of headLines(head)) write(`# ${name}: ${plain(value)}\n`);
      write(`1..${order.length}\n`);
    },
    start() {},
    end(item, result) {
      const group = groupOf(subjectOf(item.id));
      group.results.push(result);
      group.held.push(...rowLines({ item, result }, group.results.length, head));
      tell();
    },
    note(text) {
      const indent = groups.get(order[over] ?? '') ? '  ' : '';
      for (const line of text.split('\n')) write(`${indent}# ${plain(line)}\n`);
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
  const errors = results.filter(({ result }) => result.verdict === 'fail' && couldNotEnd(result)).length;
  return `# Totals: pass:${pass} fail:${fail - errors} xfail:${xfail} xpass:${xpass} skip:${skip} error:${errors}\n`;
}

function subjectLine(name: string, number: number, results: readonly Result[]): string {
  const failed = results.some(({ verdict }) => verdict === 'fail');
  const skipped = results.every(({ verdict }) => verdict === 'skip');
  return `${failed ? 'not ok' : 'ok'} ${number} ${name}${skipped ? ' # SKIP every check was skipped' : ''}`;
}

/** As kselftest ends early. */
function bailOutText(summaries: readonly Summary[]): string {
  const last = summaries.at(-1);
  return last?.interrupted ? `Bail out! ${plain(interruptedText(last.interrupted, last.results.length))}\n` : '';
}

function rowLines({ item, result }: Pick<CheckRow, 'item' | 'result'>, number: number, head: Head): string[] {
  const { verdict, reason, detail } = result;
  const point = `${verdict === 'fail' ? 'not ok' : 'ok'} ${number} ${nameOf(item, head.repeat)}${directive(result)}`;
  if (verdict === 'pass') return [point];
  const { claim, source } = checkOf(head.checks, item);
  const about = verdict === 'skip' ? [] : [`claim: ${claim} (${source})`, ...detail.split('\n')];
  // Diagnostics stand before the result that they are about.
  return [`${verdict}: ${reason}`, ...about]
    .filter((line) => line !== '')
    .map((line) => `# ${plain(line)}`)
    .concat(point);
}

/**
 * As kselftest's own functions write it: a known failure is ok. The reason stands in the diagnostics alone: parsers that know
 * a directive's word take what follows it for a part of the name.
 */
function directive(result: Result): string {
  const { verdict, cause } = result;
  if (verdict === 'skip') return ' # SKIP';
  if (verdict === 'xfail') return ' # XFAIL';
  if (verdict !== 'fail') return '';
  if (cause === 'deadline') return ' # TIMEOUT';
  return couldNotEnd(result) ? ' # ERROR' : '';
}

function plain(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
