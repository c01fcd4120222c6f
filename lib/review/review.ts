/** A review, from patches to what was found out: applied, built, booted, judged. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { profileByName, profiles } from '../abi/dsm/profiles.ts';
import { temporaryFolder } from '../base/temporary.ts';
import { type AddedConfig, readConfig } from '../lab/kernel/config.ts';
import { missingPackages, refuseMissing } from '../lab/kernel/debian.ts';
import { compilePackages, kernelSourcePackage, lanePackages, sourcePackages } from '../lab/kernel/packages.ts';
import { type LaneName, laneNamed } from '../lab/lanes/index.ts';
import { lock } from '../lab/lock.ts';
import { runBound } from '../lab/process.ts';
import type { GlobalOptions } from '../target/options.ts';
import type { Evidence, RuleAnswer } from './checklist/answer.ts';
import { answerQuestions } from './checklist/questions.ts';
import { answerRules } from './checklist/rules.ts';
import { ReviewBaseError, SeriesError } from './errors.ts';
import { lookAtTree, type TreeLook } from './look/tree.ts';
import { Pace } from './pace.ts';
import { type Applied, type ApplyFailure, applySeries } from './series/apply.ts';
import { addedLines } from './series/diff.ts';
import { readSeries, type Series, seriesOf } from './series/series.ts';
import { keep, kept, keyOf, reviewsDir } from './stages.ts';
import { checkPatterns, runSuite, type SuiteRun, suiteKey } from './suite.ts';
import { type BaseTree, completeBase, noOverlay, originalOf, prepareBase, putOverlay } from './tree/base.ts';
import { addedSymbols, type BuildFailure, type BuiltKernel, buildTree, isWhole, textAt } from './tree/build.ts';

/** What a review is asked for. */
export interface ReviewOptions {
  /** A mailbox, mails, patches, a folder of them; or a tree that has the series. */
  paths: readonly string[];
  /** A tree without the series; Debian's source if not given. */
  base: string | undefined;
  config: readonly string[];
  lanes: readonly LaneName[];
  /** null: by what the series adds. */
  profile: string | null;
  /** Parts of the names of checks; none: all. */
  patterns: readonly string[];
  destructive: boolean;
  global: GlobalOptions;
  report(line: string): void;
  reportEveryMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** One kernel of a review. */
export interface Side {
  kernel: BuiltKernel | null;
  runs: SuiteRun[];
}

/** How far a series came. */
export type ReviewVerdict = 'does not apply' | 'does not build' | 'does not boot' | 'findings' | 'no finding';

/** What a review found out. */
export interface Review {
  title: string;
  version: string;
  patches: string[];
  notes: string[];
  base: string;
  profile: string;
  symbols: string[];
  apply: ApplyFailure | null;
  build: BuildFailure | null;
  /** null where a tree with the series was given alone. */
  parent: Side | null;
  child: Side;
  answers: RuleAnswer[];
  seconds: number;
}

/** What is known of a kernel's tree once it was built. */
interface Built {
  built: BuiltKernel | BuildFailure;
  look: TreeLook;
}

/** Reviews a series. What is wrong with it is a result; what is wrong with this machine is an error. */
export async function review(options: ReviewOptions): Promise<Review> {
  const started = performance.now();
  const { lanes, report, reportEveryMs, signal } = options;
  if (options.profile !== null) profileByName(options.profile);
  await checkPatterns(options.patterns);
  const user = readConfig(options.config);
  const isTree = options.paths.length === 1 && existsSync(join(options.paths[0]!, 'arch/x86/kvm/Kconfig'));
  const alone = isTree && options.base === undefined;
  const series = alone
    ? nothing(options.paths[0]!)
    : isTree
      ? await treeSeries(options)
      : await readSeries(options.paths);
  const base = alone ? options.paths[0]! : options.base;
  if (base !== undefined && !existsSync(join(base, 'arch/x86/kvm/Kconfig')))
    throw new SeriesError(`--base ${base} is no Linux source tree`, { advice: 'Give the top folder of a Linux tree.' });
  const source = base === undefined ? [kernelSourcePackage, ...sourcePackages] : ['patch'];
  const booting = lanes.flatMap((lane) => lanePackages(laneNamed(lane)));
  refuseMissing(missingPackages([...new Set([...source, ...compilePackages, ...booting])]));
  mkdirSync(reviewsDir(), { recursive: true });
  const stages = lanes.flatMap((lane) => [`suite on ${lane}`, ...(alone ? [] : [`suite of the parent on ${lane}`])]);
  const builds = ['source', ...(alone ? [] : ['build the parent']), 'build with the series'];
  using pace = new Pace([...builds, ...stages], report, reportEveryMs);
  const found: Review = {
    title: series.title,
    version: series.version,
    patches: series.patches.map(({ title }) => title),
    notes: [...series.notes],
    base: '',
    profile: options.profile ?? '',
    symbols: [],
    apply: null,
    build: null,
    parent: alone ? null : { kernel: null, runs: [] },
    child: { kernel: null, runs: [] },
    answers: [],
    seconds: 0,
  };
  const looks = await kernelsOf(found, { series, base, alone, user, pace, signal });
  if (found.child.kernel) await judge(found, options, pace);
  const evidence: Evidence = {
    series,
    added: addedLines(series.patches.flatMap(({ files }) => files)),
    ...looks,
    runs: found.child.runs,
    symbols: found.symbols,
    base: found.base,
    optIn: profiles.get(found.profile)?.optIn !== undefined,
  };
  if (found.apply === null) found.answers = [...answerRules(evidence), ...answerQuestions(evidence)];
  found.seconds = Math.round((performance.now() - started) / 1000);
  return found;
}

function nothing(tree: string): Series {
  return { title: tree, version: '', patches: [], notes: ['a tree alone: nothing is known of what was before'] };
}

/** A tree against a tree: what differs, as one patch. */
async function treeSeries({ paths: [tree], base }: ReviewOptions): Promise<Series> {
  const lines: string[] = [];
  const excludes = ['.git', '*.o', '*.cmd', '*.orig', '*.rej'].map((name) => `--exclude=${name}`);
  await runBound('diff', ['-urN', ...excludes, base!, tree!], { onLine: (line) => lines.push(line) });
  const prefix = (line: string, from: string, to: string) =>
    line.includes(` ${from}/`) ? line.replace(` ${from}/`, ` ${to}/`) : line;
  const text = lines.map((line) =>
    line.startsWith('--- ') ? prefix(line, base!, 'a') : line.startsWith('+++ ') ? prefix(line, tree!, 'b') : line,
  );
  return seriesOf([{ subject: tree!, from: '', text: `${text.join('\n')}\n` }], tree!);
}

interface Work {
  series: Series;
  base: string | undefined;
  alone: boolean;
  user: AddedConfig;
  pace: Pace;
  signal: AbortSignal | undefined;
}

type Looks = Pick<Evidence, 'after' | 'before' | 'offsets'>;

/** One review at a time works in the tree. */
async function kernelsOf(found: Review, work: Work): Promise<Looks> {
  const { series, base, pace, signal } = work;
  const waiting = () => pace.progress.stage('lock', 'another review is at work: waiting for it');
  const held = await lock(join(reviewsDir(), 'lock'), waiting, signal);
  const files = temporaryFolder();
  try {
    pace.begin('source');
    const tree = await prepareBase(base, pace.progress, signal);
    found.base = tree.title;
    const old = series.patches.flatMap((patch) => patch.files.flatMap(({ oldPath }) => oldPath ?? []));
    await completeBase(tree, base, [...new Set(old)]);
    const applied = await applySeries(series, (path) => originalOf(tree, path), files, signal);
    pace.end('source');
    if (!applied.ok) {
      found.apply = applied.failure;
      return { after: null, before: null, offsets: 0 };
    }
    return await buildBoth(found, work, tree, files, applied);
  } finally {
    rmSync(files, { recursive: true, force: true });
    await held.release();
  }
}

async function buildBoth(
  found: Review,
  { series, alone, user, pace, signal }: Work,
  tree: BaseTree,
  files: string,
  applied: Extract<Applied, { ok: true }>,
): Promise<Looks> {
  let before: TreeLook | null = null;
  if (!alone) {
    const key = keyOf(tree.key, user.text);
    const parent = await builtOnce(key, 'build the parent', pace, async () => {
      await putOverlay(tree, noOverlay);
      const built = await buildTree(tree.path, key, user, counting(pace, 'build the parent'), signal);
      return { built, look: await lookAtTree(tree.path, null, []) };
    });
    if (!parent.built.ok)
      throw new ReviewBaseError(`${tree.title} does not build without the series: ${parent.built.first}`, {
        advice: 'Give another --base, or a --config that it builds with.',
      });
    found.parent!.kernel = parent.built;
    before = parent.look;
  }
  found.symbols = newSymbols(tree, files, applied.changed);
  const config = withSymbols(user, found.symbols);
  const contents = applied.changed.flatMap((path) => [path, readFileSync(join(files, path), 'latin1')]);
  const key = keyOf(
    tree.key,
    config.text,
    ...contents,
    ...applied.removed,
    JSON.stringify(series.patches.map(({ text }) => text)),
  );
  const child = await builtOnce(key, 'build with the series', pace, async () => {
    await putOverlay(tree, { from: files, changed: applied.changed, removed: applied.removed });
    const built = await buildTree(tree.path, key, config, counting(pace, 'build with the series'), signal);
    return { built, look: await lookAtTree(tree.path, series, found.symbols) };
  });
  if (child.built.ok) found.child.kernel = child.built;
  else found.build = child.built;
  const header = child.look.kvmHeader;
  found.profile ||= [...profiles.values()].find(({ optIn }) => optIn && header.includes(optIn.name))?.name ?? 'rfc-v2';
  return { after: child.look, before, offsets: applied.fuzz.length };
}

/** From the cache, if the kernel that belongs to it is there as it was. */
async function builtOnce(key: string, stage: string, pace: Pace, work: () => Promise<Built>): Promise<Built> {
  const old = kept<Built>('built', key);
  if (old?.built.ok && isWhole(old.built)) {
    pace.skip(stage);
    return old;
  }
  pace.begin(stage);
  const fresh = await work();
  if (fresh.built.ok) keep('built', key, fresh);
  pace.end(stage);
  return fresh;
}

function counting(pace: Pace, stage: string): (files: number) => void {
  return (files) => pace.step(stage, `${files} files`);
}

/** What the Kconfig files of KVM get: switched on in the kernel with the series, or nothing of it would run. */
function newSymbols(tree: BaseTree, files: string, changed: readonly string[]): string[] {
  return changed
    .filter((path) => /(^|\/)kvm\/Kconfig$/.test(path))
    .flatMap((path) => {
      const before = originalOf(tree, path);
      return addedSymbols(before === null ? '' : Buffer.from(before).toString(), textAt(join(files, path)));
    });
}

/** What the user says of a symbol wins. */
function withSymbols(user: AddedConfig, symbols: readonly string[]): AddedConfig {
  const fresh = symbols.filter((symbol) => !user.symbols.has(symbol));
  const text = [...fresh.map((symbol) => `CONFIG_${symbol}=y`), user.text].join('\n');
  return {
    text,
    symbols: new Map([...fresh.map((name) => [name, { value: 'y', inline: false }] as const), ...user.symbols]),
  };
}

/** The suite on both kernels, two machines at a time; the slow lane and the series first. */
async function judge(found: Review, options: ReviewOptions, pace: Pace): Promise<void> {
  const order = [...options.lanes].sort((a, b) => Number(b === 'vmx') - Number(a === 'vmx'));
  const jobs = [found.child, ...(found.parent ? [found.parent] : [])].flatMap((side) =>
    order.map((lane) => ({ side, lane })),
  );
  const suite = suiteKey();
  const next = async (): Promise<void> => {
    const job = jobs.shift();
    if (!job) return;
    const { side, lane } = job;
    const stage = side === found.child ? `suite on ${lane}` : `suite of the parent on ${lane}`;
    side.runs.push(await suiteOnce(side.kernel!, lane, stage, suite, found.profile, options, pace));
    await next();
  };
  await Promise.all([next(), next()]);
  for (const { runs } of [found.child, ...(found.parent ? [found.parent] : [])])
    runs.sort((a, b) => options.lanes.indexOf(a.lane) - options.lanes.indexOf(b.lane));
}

async function suiteOnce(
  { image, sha256 }: BuiltKernel,
  lane: LaneName,
  stage: string,
  suite: string,
  profile: string,
  { patterns, destructive, global }: ReviewOptions,
  pace: Pace,
): Promise<SuiteRun> {
  const { cmdline = '', emulator = '' } = global;
  const key = keyOf(sha256, lane, suite, profile, cmdline, emulator, String(destructive), ...patterns);
  const old = kept<SuiteRun>('suite', key);
  if (old) {
    pace.skip(stage);
    return old;
  }
  pace.begin(stage);
  const onCheck = (ended: number, all: number) => pace.step(stage, `${stage}: ${ended} of ${all} checks`);
  const run = await runSuite({
    lane,
    kernel: image,
    global: { ...global, profile },
    patterns,
    destructive,
    seed: 1,
    onCheck,
  });
  // What this machine may be to blame for is tried again.
  if (run.boot === null && run.error === null) keep('suite', key, run);
  pace.end(stage);
  return run;
}

/** How far it came. */
export function verdictOf({ apply, build, child, answers }: Review): ReviewVerdict {
  if (apply) return 'does not apply';
  if (build) return 'does not build';
  if (child.runs.some(({ boot }) => boot)) return 'does not boot';
  const bad = child.runs.some(({ totals, error }) => totals.fail + totals.xfail > 0 || error !== null);
  return bad || answers.some(({ verdict }) => verdict === 'broken') ? 'findings' : 'no finding';
}
