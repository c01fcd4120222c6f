/** `npm run mutants`: does the suite notice each mistake that the lab's kernel can make, and nothing that is none? */
import { Command } from 'commander';
import { ArgumentError } from '../../lib/base/errors.ts';
import type { LaneName } from '../../lib/lab/index.ts';
import { integer } from '../../lib/runner/suite/options.ts';
import { checksById } from '../../lib/suite/check.ts';
import { drawFaults } from '../../lib/suite/faults/drawn/draw.ts';
import { type DrawnFault, isSpec, readSpec } from '../../lib/suite/faults/drawn/spec.ts';
import { faults } from '../../lib/suite/faults/table.ts';
import { select } from '../../lib/suite/run/plan.ts';
import { subjects } from '../../lib/suite/subjects/index.ts';
import { type GlobalOptions, globalOptionsOf, withGlobalOptions } from '../../lib/target/options.ts';
import { reportError } from '../../lib/target/report-error.ts';
import { judgeFault, judgementsOf, leaveOneOut, unsound } from './judge.ts';
import { runRandom } from './random.ts';
import { randomTable, saveRandom, shareOf } from './random-record.ts';
import { added, loadRecord, type MutantRecord, recordFile, saveRecord } from './record.ts';
import { runMutants } from './run.ts';
import { closestOf, leaveOneOutTable, tableOf } from './table.ts';

interface MutantOptions extends GlobalOptions {
  fault: string[];
  add: boolean;
  like?: string;
  recorded: boolean;
  leaveOneOut: boolean;
  random?: number;
  seed: number;
}

/** Seconds for everything. */
const TIMEOUT = 7200;

/** How many checks of another lane's table are tried under a fault. */
const LIKE = 2;

const note = (text: string) => process.stderr.write(`${text}\n`);

async function mutants(patterns: readonly string[], options: MutantOptions): Promise<number> {
  const lane: LaneName = options.on === 'vmx' ? 'vmx' : 'svm';
  if (options.leaveOneOut) return showLeaveOneOut(recorded(lane, options.profile, '--leave-one-out'), options.json);
  if (options.recorded)
    return show(recorded(lane, options.profile, '--recorded'), recordFile(lane, options.profile), options.json);
  const drawn = drawnBy(options, lane);
  if (drawn) return tryDrawn(drawn, lane, patterns, options);
  const chosen = select(
    faults.map(({ name }) => name),
    options.fault,
  );
  const checks = checksById(subjects);
  const bearable = [...checks.values()].filter(({ destructive }) => !destructive).map(({ id }) => id);
  const only = options.like === undefined ? undefined : caughtOn(options.like, options.profile, chosen, patterns);
  const ids = only
    ? [...checks.keys()].filter((id) => [...only.values()].flat().includes(id))
    : select(bearable, patterns);
  if (chosen.length === 0)
    throw new ArgumentError(
      '--fault',
      `No fault is named by ${options.fault.join(' ')}`,
      'See lib/suite/faults/table.ts.',
    );
  if (ids.length === 0)
    throw new ArgumentError('pattern', `No check is named by ${patterns.join(' ')}`, 'See `kvm-dsm test --list`.');
  note(`${ids.length} checks under ${chosen.length} faults on ${lane}`);
  const before = options.add ? loadRecord(lane, options.profile) : null;
  const run = await runMutants({
    lane,
    faults: chosen,
    ids,
    only,
    checks,
    module: null,
    seed: options.seed,
    options,
    onFault(name, soFar, seconds) {
      const fault = faults.find((one) => one.name === name);
      const said = fault ? `caught by ${judgeFault(fault, soFar).caught.length}` : 'the verdicts to compare with';
      note(`${name}: ${said} (${seconds.toFixed(1)} s)`);
      // Whatever ends the run, what it has found out is kept.
      saveRecord(added(before, soFar));
    },
    note,
  });
  const record = added(before, run);
  const path = saveRecord(record);
  return show(record, path, options.json);
}

/** The drawn faults that the options ask for; `null`: none. */
function drawnBy({ fault, random, seed }: MutantOptions, lane: LaneName): DrawnFault[] | null {
  if (random !== undefined) return drawFaults(random, seed, lane);
  return fault.some(isSpec) ? fault.map(readSpec) : null;
}

async function tryDrawn(
  drawn: readonly DrawnFault[],
  lane: LaneName,
  patterns: readonly string[],
  options: MutantOptions,
): Promise<number> {
  const checks = checksById(subjects);
  const bearable = [...checks.values()].filter(({ destructive }) => !destructive).map(({ id }) => id);
  const record = await runRandom({
    lane,
    faults: drawn,
    ids: select(bearable, patterns),
    checks,
    module: null,
    seed: options.seed,
    options,
    onProgress(soFar) {
      saveRandom(soFar);
      const { noticed, of } = shareOf(soFar);
      note(`${noticed} of ${of} noticed so far`);
    },
    note,
  });
  const path = saveRandom(record);
  process.stdout.write(
    options.json ? `${JSON.stringify(record, null, 1)}\n` : `${randomTable(record)}every fault: ${path}\n`,
  );
  const { noticed, of } = shareOf(record);
  return noticed === of ? 0 : 1;
}

/** By fault: the first checks that the table of another lane names. */
function caughtOn(
  lane: string,
  profile: string,
  chosen: readonly string[],
  patterns: readonly string[],
): Map<string, string[]> {
  const judgements = judgementsOf(recorded(lane, profile, '--like'));
  return new Map(
    judgements
      .filter(({ fault }) => chosen.includes(fault))
      .map(({ fault, caught }) => [fault, select(closestOf(judgements, caught).named.slice(0, LIKE), patterns)]),
  );
}

function show(record: MutantRecord, path: string, json: boolean): number {
  const judgements = judgementsOf(record);
  const broken = unsound(record);
  const here = judgements.filter(({ applies }) => applies);
  const missed = here.filter(({ caught }) => caught.length === 0);
  const strays = judgements.filter(({ withoutCause }) => withoutCause.length > 0);
  if (json) process.stdout.write(`${JSON.stringify({ ...record, judgements, file: path }, null, 1)}\n`);
  else {
    process.stdout.write(`${tableOf(judgements)}\n`);
    for (const id of broken)
      process.stdout.write(
        `without any fault ${id} is ${record.baseline[id]!.verdict}: ${record.baseline[id]!.reason}\n`,
      );
    process.stdout.write(
      `${here.length - missed.length} of ${here.length} faults caught; checks fired without cause under ${strays.length}\nevery verdict: ${path}\n`,
    );
  }
  return missed.length + strays.length + broken.length === 0 ? 0 : 1;
}

function recorded(lane: string, profile: string, option: string): MutantRecord {
  const record = loadRecord(lane, profile);
  if (!record)
    throw new ArgumentError(option, `Nothing is recorded for ${lane} and ${profile}`, 'Run `npm run mutants` first.');
  return record;
}

function showLeaveOneOut(record: MutantRecord, json: boolean): number {
  const only = leaveOneOut(judgementsOf(record));
  if (json) process.stdout.write(`${JSON.stringify(Object.fromEntries(only), null, 1)}\n`);
  else {
    process.stdout.write(leaveOneOutTable(only));
    const checks = Object.keys(record.baseline).length;
    const tried = Object.keys(record.faults).length;
    process.stdout.write(
      `\n${checks} checks under ${tried} faults on ${record.on}, ${record.kernel}: ${only.size} checks are the only ones that catch some fault\n`,
    );
  }
  return 0;
}

const collect = (value: string, before: string[]) => [...before, value];
let exitCode = 0;
const program = withGlobalOptions(new Command('mutants'), TIMEOUT)
  .description("run the conformance suite against each fault of the lab's kernel (--on svm, or vmx)")
  .argument('[pattern...]', 'parts of the names of checks, or globs')
  .option('--fault <pattern>', 'only such faults, or a drawn one by its spec; may be given several times', collect, [])
  .option('--random <n>', 'that many drawn faults instead, each until a check notices it', integer(1, 10_000))
  .option('--add', 'keep what the last run recorded of other faults and checks', false)
  .option('--like <lane>', "under each fault only the two checks that another lane's table names first")
  .option('--seed <n>', 'what random choices depend on', integer(0, 0xffff_ffff), 1)
  .option('--recorded', 'run nothing: judge what the last run recorded', false)
  .option('--leave-one-out', 'of the last run: what would not be caught without one check', false)
  .action(async (patterns: string[], _options, command: Command) => {
    exitCode = await mutants(patterns, globalOptionsOf<MutantOptions>(command));
  });
try {
  await program.parseAsync();
} catch (error) {
  exitCode = reportError(error, process.argv.includes('--json'));
}
process.exit(exitCode);
