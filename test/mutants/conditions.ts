/** Which conditions of drawn faults hold in no check: what a suite has not set up it cannot notice. */
import { Command } from 'commander';
import { laneExecutor } from '../../lib/runner/suite/in-lane.ts';
import { integer } from '../../lib/runner/suite/options.ts';
import { checksById } from '../../lib/suite/check.ts';
import { drawFaults } from '../../lib/suite/faults/drawn/draw.ts';
import { type Site, sites } from '../../lib/suite/faults/drawn/field.ts';
import { fields } from '../../lib/suite/faults/drawn/fields.ts';
import { type FaultLane, isUnmeetable } from '../../lib/suite/faults/drawn/lanes.ts';
import { type FaultCondition, writeCondition } from '../../lib/suite/faults/drawn/spec.ts';
import { select } from '../../lib/suite/run/plan.ts';
import type { Item, Sink } from '../../lib/suite/run/protocol.ts';
import { subjects } from '../../lib/suite/subjects/index.ts';
import { type GlobalOptions, globalOptionsOf, withGlobalOptions } from '../../lib/target/options.ts';
import { reportError } from '../../lib/target/report-error.ts';

interface ConditionOptions extends GlobalOptions {
  site: string[];
  pairs?: number;
  drawn?: number;
  seed: number;
}

/** Seconds for everything. */
const TIMEOUT = 7200;
/** A fault that does nothing: what is watched is only looked at under a drawn one. */
const WATCHING = 'icr:always.eq.1:watch';
/** As many as the kernel watches at once. */
const MOST = 512;

/** `ipi-icr:irr.ge.0x80`, each that can be drawn. */
function conditionsOf(site: Site, lane: FaultLane): string[] {
  return (
    fields
      // Of 256 vectors a run draws some.
      .filter(({ name, sites: where }) => where.includes(site) && name !== 'vector')
      .flatMap((field) =>
        field.tests.flatMap(([op, ...values]) => values.map((value): FaultCondition => ({ field, op, value }))),
      )
      .filter((condition) => !isUnmeetable(condition, lane))
      .map((condition) => `${site}:${writeCondition(condition)}`)
  );
}

/** Of faults that this seed draws: what has to hold, with that many conditions at least. */
function drawnConditions(
  wanted: readonly Site[],
  least: 1 | 2,
  count: number,
  seed: number,
  lane: FaultLane,
): string[] {
  const found = new Set<string>();
  for (let drawn = count; found.size < count; drawn *= 2) {
    for (const fault of drawFaults(drawn, seed, lane)) {
      if (fault.conditions.length < least || !wanted.includes(fault.site) || found.size === count) continue;
      found.add(`${fault.site}:${fault.conditions.map(writeCondition).join('&')}`);
    }
  }
  return [...found];
}

function wantedConditions(
  wanted: readonly Site[],
  { pairs, drawn, seed }: ConditionOptions,
  lane: FaultLane,
): string[] {
  if (pairs !== undefined) return drawnConditions(wanted, 2, pairs, seed, lane);
  return drawn === undefined
    ? wanted.flatMap((site) => conditionsOf(site, lane))
    : drawnConditions(wanted, 1, drawn, seed, lane);
}

async function conditions(patterns: readonly string[], options: ConditionOptions): Promise<number> {
  const wanted = sites.filter((site) => options.site.length === 0 || options.site.includes(site));
  const lane = options.on === 'vmx' ? 'vmx' : 'svm';
  const all = wantedConditions(wanted, options, lane);
  const checks = checksById(subjects);
  const bearable = [...checks.values()].filter(({ destructive }) => !destructive).map(({ id }) => id);
  const ids = select(bearable, patterns);
  const held = new Set<string>();
  for (let from = 0; from < all.length; from += MOST) {
    const some = all.slice(from, from + MOST);
    const left: Item[] = ids.map((id, n) => ({ n, id, round: 1, fault: WATCHING }));
    const sink: Sink = {
      facts() {},
      start() {},
      outcome(_item, _outcome, _ms, _exits, { met = [] } = {}) {
        for (const n of met) held.add(some[n]!);
        return true;
      },
      note: (text) => process.stderr.write(`${text}\n`),
    };
    const watch = some.map((condition) => `${condition}:watch`);
    const request = { global: options, seed: options.seed, strict: false, bail: false, module: null, watch };
    const why = await laneExecutor(lane, request)(left, sink);
    if (why !== null) throw new Error(`not every check ran: ${why}`);
  }
  const never = all.filter((condition) => !held.has(condition));
  process.stdout.write(`${never.map((line) => `${line}\n`).join('')}${held.size} of ${all.length} conditions held\n`);
  return never.length === 0 ? 0 : 1;
}

const collect = (value: string, before: string[]) => [...before, value];
let exitCode = 0;
const program = withGlobalOptions(new Command('conditions'), TIMEOUT)
  .description('tell which conditions of drawn faults hold in no check (--on svm, or vmx)')
  .argument('[pattern...]', 'parts of the names of checks, or globs')
  .option('--site <site>', 'only of this site; may be given several times', collect, [])
  .option('--pairs <n>', 'so many pairs of conditions that the seed draws instead', integer(1, 5000))
  .option('--drawn <n>', 'the conditions of so many faults that the seed draws instead', integer(1, 5000))
  .option('--seed <n>', 'what random choices depend on', integer(0, 0xffff_ffff), 1)
  .action(async (patterns: string[], _options, command: Command) => {
    exitCode = await conditions(patterns, globalOptionsOf<ConditionOptions>(command));
  });
try {
  await program.parseAsync();
} catch (error) {
  exitCode = reportError(error, process.argv.includes('--json'));
}
process.exit(exitCode);
