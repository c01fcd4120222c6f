/** States that come together: each scene has a row of many axes, as the run's seed draws them. */
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { forwarding } from '../../kit/needs.ts';
import { HOOK } from '../../kit/sources.ts';
import { Findings, isSlow, makeBed, playRows, shareOf } from './axis-checks.ts';
import type { Bed, BedOptions } from './bed.ts';
import { type Axis, type NamedStateRow, namedRows } from './row.ts';
import type { MachineRow } from './tables/machines.ts';
import { placeAxis } from './tables/others.ts';
import { sequenceAxis } from './tables/sequences.ts';

/** Of ten axes, how many give a row to a scene. */
const TENTHS = 4;

/** With `--thorough` so many times as many scenes. */
const THOROUGH_TIMES = 10;

/** How often rows have been drawn. */
type Uses = Map<string, number>;

/** Rows that go together, in the order of the axes; of an axis one of those that have come up least. */
export function drawRows(
  { random }: Pick<CheckContext, 'random'>,
  axes: readonly Axis[],
  uses: Uses = new Map(),
): NamedStateRow[] {
  // An axis that is asked late finds more of the others taken: so each gets its turn to be first.
  const chosen: NamedStateRow[] = [];
  for (const axis of random.shuffle(axes)) {
    if (random.integer(1, 10) > TENTHS) continue;
    const fitting = namedRows(axis).filter(
      (row) => !row.needs?.length && !row.last && chosen.every((other) => goTogether(row, other)),
    );
    if (fitting.length === 0) continue;
    const usesOf = (row: NamedStateRow) => uses.get(nameOf(row)) ?? 0;
    const least = Math.min(...fitting.map(usesOf));
    const row = random.pick(fitting.filter((one) => usesOf(one) === least));
    uses.set(nameOf(row), least + 1);
    chosen.push(row);
  }
  const order = axes.map(({ name }) => name);
  return chosen.sort((a, b) => order.indexOf(a.axis) - order.indexOf(b.axis));
}

const nameOf = ({ axis, name }: NamedStateRow) => `${axis}.${name}`;

const goTogether = (a: NamedStateRow, b: NamedStateRow) => !a.alone?.includes(b.axis) && !b.alone?.includes(a.axis);

/** The rows without which it would not be wrong any more: what is told of a failure. */
function fewest(ctx: CheckContext, bed: Bed, rows: readonly NamedStateRow[]): readonly NamedStateRow[] {
  let left = rows;
  for (const row of rows) {
    const without = left.filter((other) => other !== row);
    if (playRows(ctx, bed, without).length > 0) left = without;
  }
  return left;
}

const named = (rows: readonly NamedStateRow[]) => rows.map(nameOf).join(' and ') || 'plain';

/** Plays scenes up to the first in which something is wrong. */
function playDrawn(ctx: CheckContext, bed: Bed, count: number, axes: readonly Axis[], findings: Findings): void {
  const uses: Uses = new Map();
  for (let n = 0; n < count; n++) {
    const rows = drawRows(ctx, axes, uses);
    const wrong = playRows(ctx, bed, rows);
    if (wrong.length === 0) {
      findings.add('', []);
      continue;
    }
    const least = fewest(ctx, bed, rows);
    const again = playRows(ctx, bed, least);
    const [shown, what] = again.length > 0 ? [least, again] : [rows, wrong];
    findings.add(`scene ${n + 1} of ${count}, ${named(shown)}`, what);
    return;
  }
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
      playDrawn(ctx, bed, shareOf(ctx, drawn), axes, findings);
      findings.check();
    },
  };
}

export function drawnCheck(
  name: string,
  title: string,
  count: number,
  axes: readonly Axis[],
  options: BedOptions = {},
): Check {
  return {
    id: `matrix.drawn.${name}`,
    claim: `ICR2 and ICR come out once each with the right payload, and leave all vCPUs as without forwarding, in states that the seed puts together, ${title}`,
    source: `${HOOK}; the rows of the other checks of this subject`,
    deadline: '120s',
    needs: [forwarding],
    run(ctx) {
      const findings = new Findings();
      playDrawn(ctx, makeBed(ctx, options), shareOf(ctx, count * (ctx.thorough ? THOROUGH_TIMES : 1)), axes, findings);
      findings.check();
    },
  };
}
