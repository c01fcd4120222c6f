/** Draws faults. */
import { Random } from '../../../script/random.ts';
import { type Action, actions } from './actions.ts';
import { whyEquivalent } from './equivalent.ts';
import { type Site, type StateField, sites } from './field.ts';
import { fields } from './fields.ts';
import { type DrawnFault, writeSpec } from './spec.ts';

/** How often a site is drawn: most of the series is about guests' writes. */
const WEIGHTS: Readonly<Record<Site, number>> = {
  icr: 8,
  icr2: 6,
  other: 1,
  'ipi-icr': 2,
  'ipi-icr2': 1,
  x2apic: 2,
  base: 1,
};
const weighted = sites.flatMap((site) => Array.from({ length: WEIGHTS[site] }, () => site));

const at = <T extends { sites: readonly Site[] }>(list: readonly T[], site: Site): T[] =>
  list.filter(({ sites: where }) => where.includes(site));

/** That many different faults; the same seed draws the same ones, and fewer of them are the first of more. */
export function drawFaults(count: number, seed: number): DrawnFault[] {
  const random = new Random(seed);
  const drawn = new Map<string, DrawnFault>();
  while (drawn.size < count) {
    const fault = drawOne(random);
    if (whyEquivalent(fault) === null) drawn.set(writeSpec(fault), fault);
  }
  return [...drawn.values()];
}

function drawOne(random: Random): DrawnFault {
  const site = random.pick(weighted);
  const field: StateField = random.pick(at(fields, site));
  const [op, ...values] = random.pick(field.tests);
  const action: Action = random.pick(at(actions, site));
  return {
    site,
    field,
    op,
    value: random.pick(values),
    action,
    param: action.values.length === 0 ? null : random.pick(action.values),
  };
}
