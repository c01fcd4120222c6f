/** Draws faults. */
import { Random } from '../../../script/random.ts';
import { type Action, actions } from './actions.ts';
import { whyEquivalent } from './equivalent.ts';
import { type Site, type StateField, sites } from './field.ts';
import { fields } from './fields.ts';
import { type FaultLane, whyUnmeetable } from './lanes.ts';
import { type DrawnFault, type FaultCondition, writeSpec } from './spec.ts';

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

/**
 * That many different faults for a lane; the same seed draws the same ones, but for those that another lane alone can meet, and
 * fewer of them are the first of more.
 */
export function drawFaults(count: number, seed: number, lane: FaultLane): DrawnFault[] {
  const random = new Random(seed);
  const drawn = new Map<string, DrawnFault>();
  while (drawn.size < count) {
    const fault = drawOne(random);
    if (whyEquivalent(fault) === null && whyUnmeetable(fault, lane) === null) drawn.set(writeSpec(fault), fault);
  }
  return [...drawn.values()];
}

/** One in so many faults has two conditions. */
const WITH_TWO = 6;
/** Of these, one in so many has any two; in the others the second is about what is written, or when. */
const OF_ANY_TWO = 4;

function drawOne(random: Random): DrawnFault {
  const site = random.pick(weighted);
  const first = drawCondition(random, at(fields, site));
  const second = random.integer(1, WITH_TWO) === 1 ? drawSecond(random, site, first) : [];
  const action: Action = random.pick(at(actions, site));
  return {
    site,
    conditions: [first, ...second],
    action,
    param: action.values.length === 0 ? null : random.pick(action.values),
  };
}

function drawCondition(random: Random, from: readonly StateField[]): FaultCondition {
  const field = random.pick(from);
  const [op, ...values] = random.pick(field.tests);
  return { field, op, value: random.pick(values) };
}

/** Of another group, so that neither says anything of the other. */
function drawSecond(random: Random, site: Site, { field }: FaultCondition): FaultCondition[] {
  const others = at(fields, site).filter(({ group }) => group !== field.group);
  const ofWrite = others.filter(({ group }) => group === 'write' || group === 'history');
  const from = ofWrite.length === 0 || random.integer(1, OF_ANY_TWO) === 1 ? others : ofWrite;
  return from.length === 0 ? [] : [drawCondition(random, from)];
}
