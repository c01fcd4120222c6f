/** The JSON report. */
import { jsonText } from '../../base/text.ts';
import { checkOf } from '../run/plan.ts';
import type { Head, Reporter } from '../run/reporter.ts';

/** One JSON document, at the end. */
export function jsonReporter(write: (text: string) => void): Reporter {
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
    done({ results, totals, ms }) {
      const { facts, checks, repeat, seed, shuffle, strict, thorough = false } = head;
      const document = {
        version: 1,
        on: facts.on,
        kernel: facts.kernel,
        profile: facts.profile,
        checks: results.map(({ item, result }) => {
          const { claim, source } = checkOf(checks, item);
          const { verdict, reason, detail } = result;
          const whole = reason === null || detail === '' ? reason : `${reason}\n${detail}`;
          const row = { id: item.id, claim, source, verdict, reason: whole, ms: result.ms };
          return repeat > 1 ? { ...row, round: item.round } : row;
        }),
        totals,
        head: { ...facts, package: head.package, seed, repeat, shuffle, strict, thorough },
        notes,
        ms: Math.round(ms.all),
      };
      write(`${jsonText(document, 2)}\n`);
    },
  };
}
