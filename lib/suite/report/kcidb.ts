/**
 * The report for KCIDB, the kernel community's database of test results: one document of its schema 5.3.
 *
 * Source: kcidb-io, kcidb_io/schema/v05_03.py.
 */
import { createHash, randomUUID } from 'node:crypto';
import { jsonText } from '../../base/text.ts';
import { couldNotEnd, type Result } from '../run/judge.ts';
import { checkOf } from '../run/plan.ts';
import { type CheckRow, interruptedText, type Reporter, type RowsReporter } from '../run/reporter.ts';
import { type Collected, collectingReporter } from './collected.ts';
import { headLines, rowText } from './head.ts';

/** Who submits, if nobody says: `origin` has letters, digits and underscores. */
const ORIGIN = 'kvm_dsm';

/** The longest excerpt of a log that the schema takes, in characters. */
const EXCERPT = 16_384;

export interface KcidbOptions {
  /** A build that has been submitted already, and whose tests these are: `origin:id`. Default: one for the kernel is described. */
  build?: string | undefined;
}

/** One JSON document, at the end: a test per check, and the kernel as a build, if no other one is named. */
export function kcidbReporter(write: (text: string) => void, options: KcidbOptions = {}): Reporter {
  return collectingReporter((run) => write(documentOf([run], options)));
}

/** The same of several rows: their tests are all in one list, with the row in each one's environment. */
export function kcidbRows(write: (text: string) => void, options: KcidbOptions = {}): RowsReporter {
  const runs: Collected[] = [];
  return {
    row: () => collectingReporter((run) => runs.push(run)),
    done: () => write(documentOf(runs, options)),
  };
}

function documentOf(runs: readonly Collected[], { build }: KcidbOptions): string {
  const { facts } = runs[0]!.head;
  const origin = build === undefined ? ORIGIN : build.slice(0, build.indexOf(':'));
  // The same kernel is the same build, whoever tests it.
  const kernel = createHash('sha256').update(`${facts.kernel}\n${facts.build}`).digest('hex').slice(0, 16);
  const own = `${origin}:${kernel}`;
  const described =
    build === undefined
      ? {
          checkouts: [{ id: own, origin, comment: `Linux ${facts.kernel}`, valid: true }],
          builds: [
            {
              checkout_id: own,
              id: own,
              origin,
              architecture: 'x86_64',
              comment: `Linux ${facts.kernel} ${facts.build}`,
              status: 'PASS',
              misc: { config: facts.config?.lines ?? [] },
            },
          ],
        }
      : {};
  const run = randomUUID();
  let number = 0;
  const tests: object[] = runs.flatMap((one) =>
    one.summary.results.map((row) => {
      number += 1;
      return testOf(row, one, { build_id: build ?? own, id: `${origin}:${run}-${number}`, origin });
    }),
  );
  const interrupted = runs.find(({ summary }) => summary.interrupted !== null);
  if (interrupted)
    tests.push(interruptedTest(interrupted, { build_id: build ?? own, id: `${origin}:${run}-run`, origin }));
  const document = { version: { major: 5, minor: 3 }, ...described, tests };
  return `${jsonText(document, 2)}\n`;
}

function testOf(
  { item, result, began }: CheckRow,
  { head }: Collected,
  ids: { build_id: string; id: string; origin: string },
) {
  const { claim, source } = checkOf(head.checks, item);
  const { verdict, cause, reason, detail, ms } = result;
  const log = [reason, detail].filter(Boolean).join('\n');
  return {
    ...ids,
    environment: {
      comment: head.variant ? `${head.facts.on}, ${rowText(head.variant)}` : head.facts.on,
      misc: Object.fromEntries(headLines(head)),
    },
    path: `kvm_dsm.${item.id}`,
    comment: claim,
    ...(log === '' ? {} : { log_excerpt: log.slice(0, EXCERPT) }),
    status: statusOf(result),
    start_time: began.toISOString(),
    duration: ms / 1000,
    misc: { verdict, source, ...(cause === null ? {} : { cause }), ...(head.repeat > 1 ? { round: item.round } : {}) },
  };
}

/** A run that was interrupted: what it did not come to has no test. */
function interruptedTest({ summary: { began, interrupted, results } }: Collected, ids: object): object {
  const log_excerpt = interruptedText(interrupted!, results.length);
  return {
    ...ids,
    path: 'kvm_dsm',
    comment: 'the run as a whole',
    log_excerpt,
    status: 'ERROR',
    start_time: began.toISOString(),
  };
}

/** A known shortfall has no status of its own: it is no news, and `misc.verdict` says what it is. */
function statusOf(result: Result): 'PASS' | 'SKIP' | 'MISS' | 'ERROR' | 'FAIL' {
  const { verdict, cause } = result;
  if (verdict === 'skip') return 'SKIP';
  if (verdict !== 'fail') return 'PASS';
  if (cause === 'not-run') return 'MISS';
  // An oops is the tested kernel's.
  return couldNotEnd(result) && cause !== 'oops' ? 'ERROR' : 'FAIL';
}
