/** The KTAP report. */
import { subjectOf } from '../check.ts';
import { couldNotEnd, exitCodeOf, type Result, sumOf } from '../run/judge.ts';
import { bySubject, checkOf, nameOf } from '../run/plan.ts';
import type { Item } from '../run/protocol.ts';
import { type Head, interruptedText, type Reporter, type RowsReporter, type Summary } from '../run/reporter.ts';
import { headLines } from './head.ts';

/** What came of a subject's checks so far. */
interface Group {
  results: Result[];
}

/**
 * KTAP version 1, one test per subject with its checks below it, and the totals that kselftest prints. A check stands there as soon
 * as it has ended. Where a subject's checks do not follow one another, as in a shuffled run, they are told when all of them have.
 */
export function ktapReporter(write: (text: string) => void): Reporter & { unfinished(): void } {
  let head: Head;
  let groups: Map<string, Item[]>;
  let streams: boolean;
  /** Lines of subjects that have not ended, where they are held back. */
  const held = new Map<string, string[]>();
  const open = new Map<string, Group>();
  /** The subject whose lines go out. */
  let told: string | null = null;
  let begun = 0;
  const below = (name: string, lines: readonly string[]) => {
    const text = lines.map((line) => `  ${line}\n`);
    if (streams) write(text.join(''));
    else held.set(name, [...(held.get(name) ?? []), ...text]);
  };
  /** What is held back of subjects that will not come to their end: below a plan that says so. */
  const unfinished = () => {
    for (const lines of held.values()) write(lines.join(''));
    held.clear();
  };
  const begin = (name: string): Group => {
    const known = open.get(name);
    if (known) return known;
    const group = { results: [] };
    open.set(name, group);
    if (streams) told = name;
    below(name, ['KTAP version 1', `# Subtest: ${name}`, `1..${groups.get(name)!.length}`]);
    return group;
  };
  return {
    head(given) {
      head = given;
      groups = bySubject(head.items);
      streams = areTogether(head.items);
      write('KTAP version 1\n');
      for (const [name, value] of headLines(head)) write(`# ${name}: ${plain(value)}\n`);
      write(`1..${groups.size}\n`);
    },
    start(item) {
      begin(subjectOf(item.id));
    },
    end(item, result) {
      const name = subjectOf(item.id);
      const group = begin(name);
      group.results.push(result);
      below(name, rowLines({ item, result }, group.results.length, head));
      if (group.results.length < groups.get(name)!.length) return;
      begun += 1;
      told = null;
      write(`${(held.get(name) ?? []).join('')}${subjectLine(name, begun, group.results)}\n`);
      held.delete(name);
    },
    note(text) {
      for (const line of text.split('\n')) write(`${told === null ? '' : '  '}# ${plain(line)}\n`);
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

/** Whether each subject's items follow one another. */
function areTogether(items: readonly Item[]): boolean {
  const changes = items.filter(({ id }, at) => at === 0 || subjectOf(items[at - 1]!.id) !== subjectOf(id));
  return changes.length === bySubject(items).size;
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

type CheckRow = { item: Item; result: Result };

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

function rowLines({ item, result }: CheckRow, number: number, head: Head): string[] {
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
