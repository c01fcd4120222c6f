import { defaultProfile } from '../../abi/dsm/profiles.ts';
import { ArgumentError } from '../../base/errors.ts';
import { shellWord } from '../../base/shell.ts';
import { describeTimings, Timings } from '../../lab/timings.ts';
import { checksById, type Subject } from '../../suite/check.ts';
import { type ReporterName, reporterNamed, rowsReporterNamed } from '../../suite/report/index.ts';
import { SoFar } from '../../suite/report/so-far.ts';
import { unknownFacts } from '../../suite/run/facts.ts';
import { exitCodeOf, sumOf } from '../../suite/run/judge.ts';
import { nameOf, planOf } from '../../suite/run/plan.ts';
import type { Executor } from '../../suite/run/protocol.ts';
import type { Reporter, Summary } from '../../suite/run/reporter.ts';
import { runPlan } from '../../suite/run/run.ts';
import { doing } from '../../target/doing.ts';
import { ON_LANES } from '../../target/lanes.ts';
import { type GlobalOptions, placeArguments } from '../../target/options.ts';
import { isTerminal, print } from '../../target/output.ts';
import { paint } from '../../target/paint.ts';
import { profileFor, tellOnStderr } from '../../target/profile.ts';
import { AUTO_PROFILE, checkProfileName } from '../../target/profile-name.ts';
import { type ProgressOptions, progress, showsProgress, withProgress } from '../../target/progress.ts';
import { type InterruptedError, interruption, withSignals } from '../../target/signals.ts';
import { chooseTarget, type Target, timingsOnHost } from '../../target/target.ts';
import { version } from '../../target/version.ts';
import type { CoverageFolder } from '../coverage/folder.ts';
import type { OpenCoverage } from '../coverage/open.ts';
import { kernelEventsWithoutTrace } from '../options.ts';
import { checksModule } from './checks-module.ts';
import { executorFor } from './executor.ts';
import { listChecks } from './list.ts';
import { noSuchCheck } from './no-such-check.ts';
import type { TestOptions } from './options.ts';
import { loadSubjects } from './subjects.ts';
import { TraceFolder } from './trace-folder.ts';
import { forOneRow, optionsOf, rowsOf } from './variants.ts';

/** `kvm-dsm test`: runs the suite, or a user's checks, where the options say; returns the exit code. */
export async function runTests(patterns: string[], own: TestOptions, global: GlobalOptions): Promise<number> {
  checkProfileName(global.profile);
  const module = own.checks === undefined ? null : await checksModule(own.checks);
  try {
    const subjects = await loadSubjects(module?.path ?? null);
    return own.list
      ? listChecks(subjects, patterns, listed(global.profile), global.json)
      : await withSignals(() => runSubjects(subjects, module?.path ?? null, patterns, own, global));
  } finally {
    module?.remove();
  }
}

/** No kernel is asked for a list. */
const listed = (profile: string) => (profile === AUTO_PROFILE ? defaultProfile.name : profile);

async function runSubjects(
  subjects: readonly Subject[],
  module: string | null,
  patterns: string[],
  own: TestOptions,
  given: GlobalOptions,
): Promise<number> {
  const seed = own.seed ?? Math.floor(Math.random() * 2 ** 32);
  const { repeat, shuffle, strict, bail, thorough } = own;
  const items = planOf(subjects, { patterns, repeat, shuffle, seed, thorough });
  if (items.length === 0) throw noSuchCheck(patterns);
  const checks = checksById(subjects);
  const target = chooseTarget(given);
  if (own.timings && target === 'host') throw timingsOnHost();
  if (own.machines !== undefined && target === 'host') throw machinesOnHost();
  const timings = own.timings ? new Timings() : undefined;
  const rows = await rowsOf(target, own.variant);
  const coverage = own.coverage === undefined ? undefined : await coverageIn(own.coverage, target, given);
  const counted = coverage?.folder.counted;
  // In a lane it is found out there.
  const global =
    target === 'host'
      ? { ...given, profile: profileFor(given, tellOnStderr).name }
      : { ...given, ...(coverage && { kernel: coverage.kernel }) };
  if (own.kernelEvents && own.trace === undefined) throw kernelEventsWithoutTrace('<dir>');
  const reporterName = global.json ? 'json' : own.reporter;
  if (own.buildId !== undefined && reporterName !== 'kcidb') throw buildWithoutKcidb(reporterName);
  if (own.quiet && reporterName !== 'spec') throw quietReport(reporterName);
  const reportOptions = { build: own.buildId };
  const shown = { json: global.json, quiet: own.quiet };
  // Where there is a line of progress, the report needs none of its own.
  const columns = isTerminal() && !showsProgress(shown) ? process.stdout.columns || 80 : 0;
  const screen = { write: print, paint, columns, quiet: own.quiet, hasProgress: showsProgress(shown) };
  const unknown = unknownFacts(target, global.device, global.profile);
  const traces = own.trace === undefined ? undefined : new TraceFolder(own.trace, repeat);
  const plan = {
    items,
    checks,
    seed,
    repeat,
    shuffle,
    strict,
    bail,
    thorough,
    place: placeOf(given, own),
    unknown,
    package: version(),
    signal: interruption,
  };
  if (rows.length === 0) {
    const inPlace: Executor = async (...part) =>
      (await executorFor(target, { checks, module, seed, own, global, counted, timings }))(...part);
    const traced = traces?.around(inPlace, unknown) ?? inPlace;
    const executor = coverage?.folder.around(traced) ?? traced;
    const reporter = telling(await reporterNamed(reporterName, screen, reportOptions), repeat);
    const summary = await withProgress(shown, () => runPlan({ ...plan, executor, reporter }));
    tellTimings(timings, global.json);
    await tellCoverage(coverage?.folder, reporterName, shown);
    return exitCodeOfRuns([summary]);
  }
  const reporter = await rowsReporterNamed(reporterName, screen, rows.length, reportOptions);
  const summaries: Summary[] = [];
  for (const row of rows) {
    const options = { checks, module, seed, own, global: optionsOf(row, global), counted, timings };
    const inPlace: Executor = async (...part) => forOneRow(await executorFor(target, options), unknown)(...part);
    const traced = traces?.around(inPlace, unknown, row.name) ?? inPlace;
    const executor = coverage?.folder.around(traced) ?? traced;
    const run = { ...plan, variant: row, executor, reporter: telling(reporter.row(row), repeat) };
    const summary = await withProgress(shown, () => runPlan(run));
    summaries.push(summary);
    if (summary.interrupted) break;
  }
  reporter.done(summaries);
  tellTimings(timings, global.json);
  await tellCoverage(coverage?.folder, reporterName, shown);
  return exitCodeOfRuns(summaries);
}

/** What the command line says of the place, beside the target and what a row of the report adds. */
function placeOf(given: GlobalOptions, { checks }: TestOptions): string {
  return [...placeArguments(given), ...(checks === undefined ? [] : ['--checks', checks])].map(shellWord).join(' ');
}

/** Also says what the command is at. */
function telling(reporter: Reporter, repeat: number): Reporter {
  let soFar = new SoFar(0);
  return {
    ...reporter,
    head(head) {
      soFar = new SoFar(head.items.length);
      reporter.head(head);
    },
    start(item) {
      doing(`running ${nameOf(item, repeat)}`);
      progress(soFar.words(nameOf(item, repeat)));
      reporter.start(item);
    },
    end(item, result) {
      soFar.end(result.verdict === 'fail');
      reporter.end(item, result);
    },
  };
}

/** On standard error: a report is one document of its own. */
function tellTimings(timings: Timings | undefined, json: boolean): void {
  if (!timings) return;
  timings.ended('answer');
  const report = timings.report();
  process.stderr.write(json ? `${JSON.stringify({ type: 'timings', ...report })}\n` : describeTimings(report));
}

async function coverageIn(folder: string, target: Target, given: GlobalOptions): Promise<OpenCoverage> {
  const { openCoverage } = await import('../coverage/open.ts');
  return await openCoverage(folder, target, given);
}

/** A report that is a document of its own stays one. */
async function tellCoverage(
  folder: CoverageFolder | undefined,
  reporter: ReporterName,
  shown: ProgressOptions,
): Promise<void> {
  if (!folder) return;
  doing('reading what the kernel counted');
  const text = await withProgress(shown, () => folder.finish((done, of) => progress(`${done} of ${of} checks`)));
  if (reporter === 'spec') print(`\n${text}`);
  else process.stderr.write(text);
}

function quietReport(name: string): ArgumentError {
  const why = `the report ${name} is for programs, and has every check`;
  return new ArgumentError('--quiet', why, 'Leave --quiet out: nothing else is printed there.');
}

function machinesOnHost(): ArgumentError {
  return new ArgumentError('--machines', '--machines is for the lab, not for the host', `Add ${ON_LANES}.`);
}

function buildWithoutKcidb(reporter: string): ArgumentError {
  return new ArgumentError(
    '--build-id',
    `--build-id is for --reporter kcidb, and the report is ${reporter}`,
    'Add --reporter kcidb, or leave it out.',
  );
}

function exitCodeOfRuns(summaries: readonly Summary[]): number {
  if (summaries.some(({ interrupted }) => interrupted)) return (interruption.reason as InterruptedError).exitCode;
  // Every check may have a verdict, and still something is wrong: an oops that came after the last one, say.
  if (summaries.some(({ error }) => error !== undefined)) return 1;
  return exitCodeOf(sumOf(summaries.map(({ totals }) => totals)));
}
