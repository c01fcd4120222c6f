/** The checks that an axis makes: one for all of its rows, and one for each that needs something. */
import type { Check } from '../../check.ts';
import { CheckError } from '../../errors.ts';
import type { CheckContext } from '../../kit/context.ts';
import { forwarding } from '../../kit/needs.ts';
import { HOOK } from '../../kit/sources.ts';
import { Bed, type BedOptions } from './bed.ts';
import type { Wrong } from './judge.ts';
import { type Axis, type NamedStateRow, namedRows } from './row.ts';
import { Scene } from './scene.ts';
import { eventsAxis } from './tables/guest.ts';
import { historyAxis, hostAxis } from './tables/history.ts';
import { variedIcr } from './tables/sequences.ts';
import { play } from './trial.ts';

const MOST_TOLD = 12;

/** What was wrong in which rows. */
export class Findings {
  readonly #lines: string[] = [];
  readonly #rows = new Set<string>();
  #played = 0;

  add(rows: string, wrong: readonly Wrong[]): void {
    this.#played += 1;
    if (wrong.length > 0) this.#rows.add(rows);
    const claims = { once: 'comes out once', payload: 'payload', state: 'state' } as const;
    for (const { register, claim, text } of wrong)
      this.#lines.push(`${rows}: ${register === 'both' ? 'ICR2 and ICR' : register}: ${claims[claim]}: ${text}`);
  }

  /** Throws CheckError if something was wrong. */
  check(): void {
    if (this.#lines.length === 0) return;
    const [first, ...rest] = this.#lines;
    const more = rest.slice(0, MOST_TOLD - 1);
    const left = rest.length - more.length;
    throw new CheckError(
      [
        `${this.#rows.size} of ${this.#played} rows: ${first}`,
        ...more.map((line) => `  ${line}`),
        ...(left > 0 ? [`  and ${left} more`] : []),
      ].join('\n'),
    );
  }
}

/** What runs where an entry into a guest takes long: a part of the rows, which the seed decides. */
const SLOW_SHARE = 5;
/** And in one scene of so many another vCPU writes meanwhile. */
const SLOW_BUSY = 3;

/** Bochs takes a quarter of a second for a row. */
export const isSlow = ({ facts, thorough }: CheckContext) => facts.on === 'vmx' && !thorough;

/** How many scenes run here of so many. */
export const shareOf = (ctx: CheckContext, count: number) => (isSlow(ctx) ? Math.ceil(count / SLOW_SHARE) : count);

/** Of an axis, in its order. */
function share(ctx: CheckContext, rows: readonly NamedStateRow[]): readonly NamedStateRow[] {
  const chosen = ctx.random.shuffle(rows).slice(0, shareOf(ctx, rows.length));
  return rows.filter((row) => chosen.includes(row));
}

/** Without one the scene's own ICR2 is written first, and finds what a row has put there. */
const PRELUDES = ['all', 'all', 'again', 'icr', 'none'] as const;

/** Plays rows together; `sender`: who writes if no row says. Throws CheckError if the guest cannot go on. */
export function playRows(ctx: CheckContext, bed: Bed, rows: readonly NamedStateRow[], sender?: number): Wrong[] {
  const scene = new Scene(bed, ctx.random, sender);
  scene.busy = !isSlow(ctx) || ctx.random.integer(1, SLOW_BUSY) === 1;
  scene.close = !isSlow(ctx);
  scene.prelude = ctx.random.pick(PRELUDES);
  for (const row of rows) row.apply(scene);
  try {
    return play(ctx, scene);
  } catch (error) {
    const names = rows.map(({ axis, name }) => `${axis}.${name}`).join(', ');
    if (error instanceof CheckError) throw new CheckError(`${names}: ${error.message}`);
    if (error instanceof Error) ctx.log(`in the rows ${names}`);
    throw error;
  }
}

/** What is in the slots of the others must never come out: another vCPU has written what no row writes. */
const others: NamedStateRow = {
  axis: 'bed',
  name: 'others',
  what: 'another vCPU writes',
  source: HOOK,
  apply(scene) {
    const count = scene.bed.vcpus.length;
    scene.prelude = 'none';
    scene.busy = false;
    scene.sender = 0;
    scene.target = count - 1;
    scene.vector = 0x2e;
    scene.noise = 0x5a_5a5a;
    scene.send = { icr: 0x48ee_4700, destination: 0x6d, addressees: [], leaves: 'nothing' };
  },
};

/** Pairs that one scene writes of those that wear a vCPU. */
const PAIRS = 64;

const worn: NamedStateRow = {
  axis: 'bed',
  name: 'worn',
  what: 'it writes often',
  source: HOOK,
  apply(scene) {
    scene.prelude = 'none';
    scene.light = true;
    scene.busy = false;
    scene.sequence = (icr2, icr) => Array.from({ length: PAIRS }, (_, n) => [icr2, variedIcr(icr, n)]).flat();
  },
};

/** A VM as a check begins with it. */
export function makeBed(ctx: CheckContext, options: BedOptions = {}): Bed {
  const bed = new Bed(ctx, options);
  if (!isSlow(ctx) && bed.vcpus.length > 1) playRows(ctx, bed, [others]);
  const { worn: pairs = 0 } = options;
  const often = ctx.thorough ? 2 * pairs : pairs;
  for (let n = 0; n < (isSlow(ctx) ? pairs / 8 : often); n += PAIRS) playRows(ctx, bed, [worn]);
  if (options.lived) for (const row of life()) playRows(ctx, bed, [row]);
  return bed;
}

/** What a vCPU has been through that has lived: what KVM counts of it, and what a series could. */
function life(): NamedStateRow[] {
  const rows = [eventsAxis, historyAxis, hostAxis].flatMap((axis) => namedRows(axis));
  const some = (axis: string, name: string, count: number) =>
    Array.from({ length: count }, () => rows.find((row) => row.axis === axis && row.name === name)!);
  return [
    ...some('events', 'interrupt-injected', 12),
    ...some('events', 'nmi-pending', 2),
    ...some('before', 'hlt-before', 3),
    ...some('host', 'signal', 1),
  ];
}

const claimOf = (title: string) =>
  `ICR2 and ICR come out once each with the right payload, and leave all vCPUs as without forwarding, whatever ${title}`;

export function axisChecks(axis: Axis, options: BedOptions = {}): Check[] {
  const rows = namedRows(axis);
  const plain = rows.filter(({ needs = [] }) => needs.length === 0);
  const choosy = rows.filter(({ needs = [] }) => needs.length > 0);
  const run = (ctx: CheckContext, some: readonly NamedStateRow[]) => {
    const bed = makeBed(ctx, options);
    const findings = new Findings();
    for (const row of share(ctx, some)) findings.add(`${axis.name}.${row.name}`, playRows(ctx, bed, [row]));
    findings.check();
  };
  const common = { deadline: '60s' as const };
  const all: Check[] =
    plain.length === 0
      ? []
      : [
          {
            ...common,
            id: `matrix.${axis.name}`,
            claim: claimOf(axis.title),
            source: `${HOOK}; ${[...new Set(plain.map(({ source }) => source))].slice(0, 3).join('; ')}`,
            needs: [forwarding],
            run: (ctx) => run(ctx, plain),
          },
        ];
  return [
    ...all,
    ...choosy.map(
      (row): Check => ({
        ...common,
        id: `matrix.${axis.name}.${row.name}`,
        claim: `ICR2 and ICR come out once each with the right payload, and leave all vCPUs as without forwarding: ${row.what}`,
        source: `${HOOK}; ${row.source}`,
        needs: [forwarding, ...row.needs!],
        run: (ctx) => run(ctx, [row]),
      }),
    ),
  ];
}
