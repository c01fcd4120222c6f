/** States that come together: each scene has a row of many axes, as the run's seed draws them. */
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { forwarding } from '../../kit/needs.ts';
import { HOOK } from '../../kit/sources.ts';
import { Findings, isSlow, makeBed, playRows, shareOf } from './axis-checks.ts';
import type { Bed, BedOptions } from './bed.ts';
import { drawBed } from './drawn-bed.ts';
import { type Axis, type NamedStateRow, namedRows } from './row.ts';
import type { MachineRow } from './tables/machines.ts';
import { placeAxis } from './tables/others.ts';
import { sequenceAxis } from './tables/sequences.ts';

/** Of ten axes, how many give a row to a scene, if a row goes with those of the others: one of these. */
const TENTHS = [5, 9] as const;

/** With `--thorough` so many times as many VMs. */
const THOROUGH_TIMES = 10;

/** Scenes of a VM that is drawn as well; and of one where guests are slow. */
const SCENES = 25;
const SLOW_SCENES = 12;

interface Numbered {
  row: NamedStateRow;
  number: number;
}

interface NumberedAxis {
  rare: number;
  rows: readonly Numbered[];
}

/** More than there are rows. */
const MOST_ROWS = 4096;

/** Draws scenes, so that each row comes up, and with it as many others as can be. */
export class Draw {
  readonly #axes: readonly NumberedAxis[];
  /** How often each row has come up. */
  readonly #rows = new Map<number, number>();
  /** Which two have come up together. */
  readonly #pairs = new Set<number>();

  constructor(axes: readonly Axis[]) {
    let number = 0;
    this.#axes = axes.map((axis) => ({
      rare: axis.rare ?? 1,
      rows: namedRows(axis).flatMap((row) => (row.needs?.length || row.last ? [] : { row, number: number++ })),
    }));
  }

  /** Rows that go together, in the order of the axes; of an axis the one that makes most pairs which have not come up. */
  next({ random }: Pick<CheckContext, 'random'>): NamedStateRow[] {
    // An axis that is asked late finds more of the others taken: so each gets its turn to be first.
    const chosen: Numbered[] = [];
    const tenths = random.pick(TENTHS);
    for (const { rare, rows } of random.shuffle(this.#axes)) {
      if (rare > 1 ? random.integer(1, rare) > 1 : random.integer(1, 10) > tenths) continue;
      const fitting = rows.filter(({ row }) => chosen.every((other) => goTogether(row, other.row)));
      if (fitting.length === 0) continue;
      const one = best(random.shuffle(fitting), ({ number }) => this.#worth(number, chosen));
      this.#rows.set(one.number, (this.#rows.get(one.number) ?? 0) + 1);
      for (const other of chosen) this.#pairs.add(pairOf(one.number, other.number));
      chosen.push(one);
    }
    return chosen.sort((a, b) => a.number - b.number).map(({ row }) => row);
  }

  /** A row that has come up less often is worth more, whatever pairs the other makes. */
  #worth(number: number, chosen: readonly Numbered[]): number {
    const isNew = (other: Numbered) => !this.#pairs.has(pairOf(number, other.number));
    return chosen.filter(isNew).length - (chosen.length + 1) * (this.#rows.get(number) ?? 0);
  }
}

const pairOf = (a: number, b: number) => Math.min(a, b) * MOST_ROWS + Math.max(a, b);

/** The first of those with the highest score. */
function best<T>(list: readonly T[], score: (one: T) => number): T {
  const scores = list.map(score);
  return list[scores.indexOf(Math.max(...scores))]!;
}

const nameOf = ({ axis, name }: NamedStateRow) => `${axis}.${name}`;

const goTogether = (a: NamedStateRow, b: NamedStateRow) => !a.alone?.includes(b.axis) && !b.alone?.includes(a.axis);

/** The rows without which it would not be wrong any more: what is told of a failure. */
function fewest(
  ctx: CheckContext,
  bed: Bed,
  rows: readonly NamedStateRow[],
  sender?: number,
): readonly NamedStateRow[] {
  let left = rows;
  for (const row of rows) {
    const without = left.filter((other) => other !== row);
    if (playRows(ctx, bed, without, sender).length > 0) left = without;
  }
  return left;
}

const named = (rows: readonly NamedStateRow[]) => rows.map(nameOf).join(' and ') || 'plain';

/** Plays scenes up to the first in which something is wrong; false: there was one. `of`: whose they are. */
function playDrawn(ctx: CheckContext, bed: Bed, count: number, draw: Draw, findings: Findings, of = ''): boolean {
  for (let n = 0; n < count; n++) {
    const rows = draw.next(ctx);
    // By turns, so that each has its first write, and its second, in another scene; one that has a past is to write itself.
    const sender = bed.past ? undefined : (n + 1) % bed.vcpus.length;
    const wrong = playRows(ctx, bed, rows, sender);
    if (wrong.length === 0) {
      findings.add('', []);
      continue;
    }
    const least = fewest(ctx, bed, rows, sender);
    const again = playRows(ctx, bed, least, sender);
    const [shown, what] = again.length > 0 ? [least, again] : [rows, wrong];
    findings.add(`${of}scene ${n + 1} of ${count}, ${named(shown)}`, what);
    return false;
  }
  return true;
}

/** The first and the last vCPU write as well; and one writes ICR alone. */
const places = [...namedRows(placeAxis), ...namedRows(sequenceAxis)].filter(({ name }) =>
  ['first-to-last', 'last-to-first', 'icr'].includes(name),
);

/** A VM of its own: the plain scene, and some that are drawn. */
export function machineCheck({ name, what, source, options, large, drawn }: MachineRow, axes: readonly Axis[]): Check {
  return {
    id: `matrix.vm.${name}`,
    claim: `ICR2 and ICR come out once each with the right payload, and leave all vCPUs as without forwarding: ${what}`,
    source: `${HOOK}; ${source}`,
    deadline: '60s',
    needs: [forwarding],
    run(ctx) {
      const { ids = [] } = options;
      const bed = makeBed(ctx, large && isSlow(ctx) ? { ...options, ids: ids.slice(0, 64) } : options);
      const findings = new Findings();
      findings.add('plain', playRows(ctx, bed, []));
      for (const row of places) findings.add(`${row.axis}.${row.name}`, playRows(ctx, bed, [row]));
      playDrawn(ctx, bed, shareOf(ctx, drawn), new Draw(axes), findings);
      findings.check();
    },
  };
}

/** VMs that the seed puts together, each with some scenes. */
export function drawnCheck(
  name: string,
  title: string,
  vms: number,
  axes: readonly Axis[],
  options: BedOptions = {},
): Check {
  return {
    id: `matrix.drawn.${name}`,
    claim: `ICR2 and ICR come out once each with the right payload, and leave all vCPUs as without forwarding, in states that the seed puts together, ${title} that it puts together as well`,
    source: `${HOOK}; the rows of the other checks of this subject`,
    deadline: '120s',
    needs: [forwarding],
    run(ctx) {
      const findings = new Findings();
      // What has come up together in one VM comes later in the next.
      const draw = new Draw(axes);
      const count = shareOf(ctx, vms * (ctx.thorough ? THOROUGH_TIMES : 1));
      for (let n = 0; n < count; n++) {
        const { traits, options: more } = drawBed(ctx.random, options);
        const of = traits.length === 0 ? '' : `a VM with ${traits.join(', ')}: `;
        if (!playDrawn(ctx, makeBed(ctx, more), isSlow(ctx) ? SLOW_SCENES : SCENES, draw, findings, of)) break;
      }
      findings.check();
    },
  };
}
