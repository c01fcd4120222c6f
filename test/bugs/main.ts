/** `npm run explore:bugs`: does the explorer, which knows nothing of them, find the bugs that KVM's local APIC once had? */
import { Command } from 'commander';
import type { ExploreDocument } from '../../lib/explore/report.ts';
import { integer } from '../../lib/runner/suite/options.ts';
import { select } from '../../lib/suite/run/plan.ts';
import { kvmDsm } from '../support/command.ts';
import { type BugsRecord, bugsTable, loadBugs, saveBugs, summaries } from './record.ts';
import { historicalBugs } from './table.ts';

interface BugsOptions {
  on: string;
  seeds: number;
  for: number;
  recorded: boolean;
  kernel?: string;
}

/** At most: to boot, and to make a difference small, in seconds. */
const BESIDE = 600;

/** `kvm-dsm` with these words in the lab; a document and exit code 1 are a difference. */
function command(words: readonly string[], name: string, { on, kernel, for: limit }: BugsOptions): string {
  const place = [
    '--on',
    on,
    '--cmdline',
    `kvm.dsm_fault=${name}`,
    ...(kernel === undefined ? [] : ['--kernel', kernel]),
  ];
  const { stdout, stderr, code } = kvmDsm([...words, ...place], limit + BESIDE);
  if (code === 0 || (code === 1 && stdout.startsWith('{'))) return stdout;
  throw new Error(`${[...words, ...place].join(' ')}: exit code ${code}\n${stderr}`);
}

function explore(name: string, seed: number, options: BugsOptions): void {
  const words = ['explore', '--json', '--seed', `${seed}`, '--for', `${options.for}s`];
  const { difference, histories } = JSON.parse(command(words, name, options)) as ExploreDocument;
  const tried = {
    histories,
    msToFind: difference?.msToFind ?? null,
    operations: difference?.operations.length ?? 0,
    steady: difference?.steady ?? true,
  };
  const said = difference ? `${difference.msToFind} ms, ${tried.operations} operations` : 'not found';
  process.stderr.write(`${name}, seed ${seed}: ${said}, ${histories} histories\n`);
  saveBugs({ version: 1, on: options.on, limit: options.for, bugs: { [name]: { [seed]: tried } } });
}

function bugs(patterns: readonly string[], options: BugsOptions): number {
  const names = select(
    historicalBugs.map(({ name }) => name),
    patterns,
  );
  if (!options.recorded)
    for (const name of names) {
      // One boot for all its seeds.
      command(['lab', 'up'], name, options);
      try {
        for (let seed = 1; seed <= options.seeds; seed++) explore(name, seed, options);
      } finally {
        kvmDsm(['lab', 'down']);
      }
    }
  return show(loadBugs(options.on), names, options);
}

function show(record: BugsRecord | null, names: readonly string[], { on, for: limit }: BugsOptions): number {
  if (!record) throw new Error(`nothing is recorded of ${on}: run it without --recorded first`);
  process.stdout.write(bugsTable(record));
  const judged = summaries(record).filter(({ bug }) => names.includes(bug.name));
  const good = judged.filter(({ medianMs, mostOperations }) => medianMs <= limit * 1000 && mostOperations <= 6);
  process.stderr.write(`${good.length} of ${judged.length} bugs found, each shown by at most 6 operations\n`);
  return good.length === judged.length && judged.length === names.length ? 0 : 1;
}

const program = new Command('explore:bugs')
  .argument('[bug...]', 'globs of names, or parts of them')
  .option('--on <lane>', 'svm or vmx', 'svm')
  .option('--seeds <n>', 'how many seeds, from 1', integer(1, 1000), 3)
  .option('--for <seconds>', 'how long each has', integer(1, 86_400), 60)
  .option('--kernel <bzImage>', 'a kernel with the same switch, instead of the lab kernel')
  .option('--recorded', 'tell what was recorded, and run nothing', false)
  .action((patterns: string[], options: BugsOptions) => {
    process.exitCode = bugs(patterns, options);
  });
await program.parseAsync();
