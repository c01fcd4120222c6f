/** The JSON report. */
import { jsonText } from '../../base/text.ts';
import { sumOf } from '../run/judge.ts';
import { checkOf } from '../run/plan.ts';
import type { Reporter, RowsReporter } from '../run/reporter.ts';
import { type Collected, collectingReporter } from './collected.ts';

/** One JSON document, at the end. */
export function jsonReporter(write: (text: string) => void): Reporter {
  return documentReporter((document) => write(`${jsonText(document, 2)}\n`));
}

/** One JSON document of several rows: `variants` has that of each, and `totals` counts all. */
export function jsonRows(write: (text: string) => void): RowsReporter {
  const variants: { on: string; profile: string }[] = [];
  return {
    row: (variant) => documentReporter(({ version: _, ...document }) => variants.push({ ...variant, ...document })),
    done(summaries) {
      const { on, profile } = variants[0]!;
      const totals = sumOf(summaries.map((summary) => summary.totals));
      const interrupted = summaries.at(-1)?.interrupted ?? null;
      write(`${jsonText({ version: 1, on, profile, variants, totals, interrupted }, 2)}\n`);
    },
  };
}

type SuiteDocument = ReturnType<typeof documentOf>;

const documentReporter = (take: (document: SuiteDocument) => void): Reporter =>
  collectingReporter((run) => take(documentOf(run)));

function documentOf({ head, summary, notes }: Collected) {
  const { results, totals, ms, interrupted } = summary;
  const { facts, checks, repeat, seed, shuffle, strict, thorough = false } = head;
  return {
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
    interrupted,
  };
}
