/** The TAP report. */
import { jsonText } from '../../base/text.ts';
import type { Result } from '../run/judge.ts';
import { checkOf, nameOf } from '../run/plan.ts';
import { type Head, interruptedText, type Reporter, type RowsReporter } from '../run/reporter.ts';
import { headLines } from './head.ts';

/**
 * TAP: one test point per check, with YAML where it did not pass.
 *
 * @param version what it says it is. The lines are the same: none needs what 14 has and 13 has not, and Perl's `prove`
 *   refuses a 14.
 */
export function tapReporter(write: (text: string) => void, version: 13 | 14, rows = new Rows(1)): Reporter {
  let head: Head;
  return {
    head(given) {
      head = given;
      if (rows.number === 0) write(`TAP version ${version}\n1..${head.items.length * rows.count}\n`);
      for (const [name, value] of headLines(head)) write(`# ${name}: ${plain(value)}\n`);
    },
    start() {},
    end(item, result) {
      rows.number += 1;
      const check = checkOf(head.checks, item);
      const prefix = head.variant ? `${head.variant.name}: ` : '';
      const failed = result.verdict === 'fail' || result.verdict === 'xfail';
      write(`${failed ? 'not ok' : 'ok'} ${rows.number} - ${prefix}${nameOf(item, head.repeat)}${directive(result)}\n`);
      if (result.verdict !== 'pass' && result.verdict !== 'skip') write(yaml(check.claim, check.source, result));
    },
    note(text) {
      for (const line of text.split('\n')) write(`# ${plain(line)}\n`);
    },
    tick() {},
    done({ totals, interrupted, results }) {
      const words = Object.entries(totals).map(([verdict, count]) => `${verdict}:${count}`);
      write(`# totals ${words.join(' ')}\n`);
      if (interrupted) write(`Bail out! ${plain(interruptedText(interrupted, results.length))}\n`);
    },
  };
}

/** TAP of several rows: one list of test points, each with its row's name before its own. */
export function tapRows(write: (text: string) => void, version: 13 | 14, count: number): RowsReporter {
  const rows = new Rows(count);
  return { row: () => tapReporter(write, version, rows), done() {} };
}

/** How many rows a report has, and how many test points stand there already. */
class Rows {
  number = 0;
  readonly count: number;

  constructor(count: number) {
    this.count = count;
  }
}

/**
 * In TAP a known failure is a TODO; a TODO that is ok is what it calls a bonus. `skip` is written as the parser of
 * Linaro's test-definitions wants it, which takes the rest for a part of the name; why a TODO is one, the YAML says.
 */
function directive({ verdict, reason }: Result): string {
  if (verdict === 'skip') return ` # skip ${escaped(reason)}`;
  return verdict === 'xfail' || verdict === 'xpass' ? ' # TODO' : '';
}

function escaped(text: string | null): string {
  return (text ?? '').replace(/[\\#]/g, '\\$&');
}

// A comment that looks like a directive or a plan is none, but not every parser knows.
function plain(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** JSON strings are YAML ones. */
function yaml(claim: string, source: string, { reason, detail, cause, ms, verdict }: Result): string {
  const fields: Record<string, unknown> = {
    message: reason,
    severity: verdict === 'fail' ? 'fail' : 'todo',
    cause,
    claim,
    source,
    duration_ms: ms,
    ...(detail === '' ? {} : { detail }),
  };
  const lines = Object.entries(fields).map(([name, value]) => `  ${name}: ${jsonText(value)}\n`);
  return `  ---\n${lines.join('')}  ...\n`;
}
