import { profileByName } from '../abi/dsm/profiles.ts';
import { ArgumentError } from '../base/errors.ts';
import { Kvm } from '../kvm/kvm.ts';
import { findScript } from '../runner/bundle/bundle.ts';
import { bundleModule } from '../runner/bundle/module.ts';
import { checksModule, loadSubjects } from '../runner/suite-checks.ts';
import { type Check, checksById, type Subject } from '../suite/check.ts';
import { reporterNamed } from '../suite/report/index.ts';
import { unknownFacts } from '../suite/run/facts.ts';
import { exitCodeOf } from '../suite/run/judge.ts';
import { planOf, select } from '../suite/run/plan.ts';
import type { Executor } from '../suite/run/protocol.ts';
import { runPlan, sparing } from '../suite/run/run.ts';
import type { GlobalOptions } from '../target/options.ts';
import { paint } from '../target/paint.ts';
import { choosePlace } from '../target/target.ts';
import { version } from '../target/version.ts';
import { testHere } from './test-here.ts';
import type { TestOptions } from './test-options.ts';

/** `kvm-dsm test`: returns the exit code. */
export async function test(patterns: string[], own: TestOptions, options: GlobalOptions): Promise<number> {
  profileByName(options.profile);
  const module = own.checks === undefined ? null : await checksModule(own.checks);
  try {
    const subjects = await loadSubjects(module?.path ?? null);
    return own.list
      ? list(subjects, patterns, options.json)
      : await runSuite(subjects, module?.path ?? null, patterns, own, options);
  } finally {
    module?.remove();
  }
}

async function runSuite(
  subjects: readonly Subject[],
  module: string | null,
  patterns: string[],
  own: TestOptions,
  options: GlobalOptions,
): Promise<number> {
  const seed = own.seed ?? Math.floor(Math.random() * 2 ** 32);
  const { repeat, shuffle, strict, bail } = own;
  const items = planOf(subjects, { patterns, repeat, shuffle, seed });
  if (items.length === 0) throw noCheck(patterns);
  const checks = checksById(subjects);
  const place = choosePlace(options);
  const all = await executorFor(place, checks, module, seed, own, options);
  const executor = own.destructive && place !== 'host' ? all : sparing(all, checks);
  const reporter = reporterNamed(options.json ? 'json' : own.reporter, {
    write: (text) => void process.stdout.write(text),
    paint,
    columns: process.stdout.isTTY ? process.stdout.columns || 80 : 0,
  });
  const unknown = unknownFacts(place, options.device, options.profile);
  const run = { items, checks, seed, repeat, shuffle, strict, bail, executor, reporter, unknown, package: version() };
  const { totals, error } = await runPlan(run);
  // Every check may have a verdict, and still something is wrong: an oops that came behind the last one, say.
  return error === undefined ? exitCodeOf(totals) : 1;
}

/** Here or in the lab. Throws what `Kvm.open` throws if it is here and there is no KVM. */
async function executorFor(
  place: ReturnType<typeof choosePlace>,
  checks: ReadonlyMap<string, Check>,
  module: string | null,
  seed: number,
  own: TestOptions,
  options: GlobalOptions,
): Promise<Executor> {
  if (place !== 'host') {
    const [{ laneExecutor }, { packageInside }] = await Promise.all([
      import('./test-in-lane.ts'),
      import('../lab/index.ts'),
    ]);
    const text =
      own.checks === undefined ? null : await bundleModule(findScript(own.checks), `${packageInside}/dist/index.js`);
    return laneExecutor(place, { global: options, seed, strict: own.strict, bail: own.bail, module: text });
  }
  Kvm.open(options.device).close();
  const { device, profile, timeout } = options;
  return async (items, sink) => {
    const end = await testHere(items, checks, { module, seed, device, profile, timeout }, null, sink);
    return end === 'timeout' ? 'the time that --timeout allows was over' : null;
  };
}

function noCheck(patterns: readonly string[]): ArgumentError {
  const what = patterns.length > 0 ? `No check is named by ${patterns.join(' ')}` : 'There are no checks';
  return new ArgumentError('pattern', what, 'See `kvm-dsm test --list`.');
}

function list(subjects: readonly Subject[], patterns: readonly string[], json: boolean): number {
  const chosen = new Set(select([...checksById(subjects).keys()], patterns));
  if (chosen.size === 0) throw noCheck(patterns);
  const groups = subjects
    .map(({ name, title, checks }) => ({ name, title, checks: checks.filter(({ id }) => chosen.has(id)) }))
    .filter(({ checks }) => checks.length > 0);
  if (json) {
    const rows = groups.flatMap(({ checks }) => checks.map(row));
    process.stdout.write(`${JSON.stringify({ version: 1, checks: rows }, null, 2)}\n`);
    return 0;
  }
  const lines = groups.flatMap(({ name, title, checks }) => [
    `${paint('bold', name)}: ${title}`,
    ...checks.flatMap(({ id, claim, source }) => [`  ${id}`, `    ${claim} ${paint('dim', `(${source})`)}`]),
  ]);
  process.stdout.write(`${lines.join('\n')}\n${chosen.size} checks\n`);
  return 0;
}

function row({ id, claim, source, needs = [], shortfall }: Check) {
  return { id, claim, source, needs: needs.map(({ name }) => name), shortfall: shortfall?.reason ?? null };
}
