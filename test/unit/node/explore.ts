/**
 * Every state that two nodes can come to, by the code itself. A frame that was ever sent may arrive at any time, any number of times, or
 * never: loss, duplication and reordering at once. Either node may begin anew.
 */
import type * as Delivery from '../../../lib/node/delivery.ts';

export type DeliveryModule = Pick<typeof Delivery, 'newLink' | 'step' | 'unacknowledged'>;
type Frame = Delivery.Frame<string>;

/** Without time: what may be sent again may be so at once, and nobody is given up. */
const limits: Delivery.LinkLimits = {
  window: 2,
  capacity: 8,
  resend: 0,
  longest: 0,
  burst: 8,
  deadline: Number.POSITIVE_INFINITY,
};

type Side = 0 | 1;

interface World {
  links: [Delivery.LinkState<string>, Delivery.LinkState<string>];
  /** Which run of each. */
  runs: [number, number];
  /** By who sent them, as JSON. */
  sent: [Set<string>, Set<string>];
  /** Items that were given to the link, by who gave them: in this run. */
  offered: [string[], string[]];
  /** What each was given, by the item's run and source, in order; a run's own. */
  got: [Record<string, string[]>, Record<string, string[]>];
  /** What all runs of each were given. */
  ever: [string[], string[]];
  /** What each was told to be void, since its peer has begun anew. */
  void: [string[], string[]];
  offers: number;
}

export interface Bounds {
  /** So many items are offered, by each source of each node in turn. */
  readonly offers: number;
  readonly restarts: number;
  /** Sources of node 0; node 1 has one if `both`. */
  readonly sources: number;
  readonly both: boolean;
  /** So many questions of a run are looked at: an old message may bring one each time that it comes. */
  readonly questions: number;
}

export interface Explored {
  readonly states: number;
  /** What went wrong first, and the way there. */
  readonly fault: string | null;
  readonly way: readonly string[];
}

const epoch = (side: Side, run: number) => `${'AB'[side]}${run}`;

export function explore(code: DeliveryModule, bounds: Bounds): Explored {
  const first: World = {
    links: [code.newLink('A0', 0), code.newLink('B0', 0)],
    runs: [0, 0],
    sent: [new Set(), new Set()],
    offered: [[], []],
    got: [{}, {}],
    ever: [[], []],
    void: [[], []],
    offers: 0,
  };
  const seen = new Set([keyOf(first)]);
  const queue: { world: World; way: Way | null }[] = [{ world: first, way: null }];
  for (const { world, way } of queue) {
    for (const [name, act] of actsOf(code, world, bounds)) {
      const next = structuredClone(world);
      const here: Way = { name, before: way };
      const fault = act(next);
      if (fault !== null) return { states: seen.size, fault, way: wayTo(here) };
      const key = keyOf(next);
      if (seen.has(key) || next.links.some(({ nonce }) => nonce > bounds.questions)) continue;
      seen.add(key);
      queue.push({ world: next, way: here });
    }
    const stuck = comesToRest(code, structuredClone(world));
    if (stuck !== null) return { states: seen.size, fault: stuck, way: wayTo(way) };
  }
  return { states: seen.size, fault: null, way: [] };
}

interface Way {
  readonly name: string;
  readonly before: Way | null;
}

function wayTo(way: Way | null): string[] {
  const names: string[] = [];
  for (let at = way; at !== null; at = at.before) names.unshift(at.name);
  return names;
}

/** The counts of what came again are no state. */
function keyOf({ links, runs, sent, got, ever, void: gone, offers }: World): string {
  const plain = (_: string, value: unknown) =>
    value instanceof Map || value instanceof Set ? [...value].sort() : value;
  return JSON.stringify(
    [links.map((link) => ({ ...link, resent: 0, doubled: 0 })), runs, sent, got, [...ever].sort(), gone, offers],
    plain,
  );
}

type Act = readonly [name: string, act: (world: World) => string | null];

function* actsOf(code: DeliveryModule, world: World, bounds: Bounds): Generator<Act> {
  if (world.offers < bounds.offers)
    for (const [side, source] of sourcesOf(bounds))
      yield [`${'AB'[side]} offers of source ${source}`, (next) => offer(code, next, side, source)];
  for (const side of [0, 1] as const) {
    yield [`${'AB'[side]} ticks`, (next) => stepBy(code, next, side, { is: 'tick', now: 0 })];
    yield [`${'AB'[side]} acknowledges`, (next) => stepBy(code, next, side, { is: 'flush' })];
    for (const text of world.sent[side === 0 ? 1 : 0])
      yield [`${'AB'[side]} gets ${text}`, (next) => arrive(code, next, side, text)];
    if (world.runs[0] + world.runs[1] < bounds.restarts)
      yield [`${'AB'[side]} begins anew`, (next) => restart(code, next, side)];
  }
}

function sourcesOf({ sources, both }: Bounds): [Side, number][] {
  const own = Array.from({ length: sources }, (_, source): [Side, number] => [0, source]);
  return both ? [...own, [1, sources]] : own;
}

function offer(code: DeliveryModule, world: World, side: Side, source: number): string | null {
  const count = world.offered[side].filter((item) => item.split('.')[1] === String(source)).length;
  const item = `${epoch(side, world.runs[side])}.${source}.${count + 1}`;
  world.offers += 1;
  world.offered[side].push(item);
  return stepBy(code, world, side, { is: 'offer', source, item, now: 0 });
}

function arrive(code: DeliveryModule, world: World, side: Side, text: string): string | null {
  return stepBy(code, world, side, { is: 'frame', frame: JSON.parse(text) as Frame, now: 0 });
}

function restart(code: DeliveryModule, world: World, side: Side): string | null {
  world.runs[side] += 1;
  world.links[side] = code.newLink(epoch(side, world.runs[side]), 0);
  world.offered[side] = [];
  world.void[side] = [];
  world.got[side] = {};
  return null;
}

/** One step of a node; what it delivers must be the next of its source. */
function stepBy(code: DeliveryModule, world: World, side: Side, event: Delivery.LinkEvent<string>): string | null {
  for (const effect of code.step(world.links[side], event, limits)) {
    if (effect.do === 'send') world.sent[side].add(JSON.stringify(effect.frame));
    if (effect.do === 'full') return 'an item was refused';
    if (effect.do === 'restarted') {
      if (world.runs[side === 0 ? 1 : 0] === 0) return 'a restart that never was';
      world.void[side].push(...effect.unacknowledged.map(({ item }) => item));
    }
    if (effect.do !== 'deliver') continue;
    if (world.ever[side].includes(effect.item)) return `${effect.item} came twice`;
    world.ever[side].push(effect.item);
    const [run, source, number] = effect.item.split('.');
    world.got[side][`${run}.${source}`] ??= [];
    const list = world.got[side][`${run}.${source}`]!;
    list.push(effect.item);
    if (Number(source) !== effect.source) return `${effect.item} came from source ${effect.source}`;
    if (list.length === 1 && world.runs[side] === 0 && number !== '1') return `${effect.item} came first`;
    if (run !== world.links[side].theirs)
      return `${effect.item} came, and the peer's run is ${world.links[side].theirs}`;
    // What an earlier run of the receiver has taken is void for this one: a list may begin later, but goes on in order.
    const before = list.at(-2);
    if (before !== undefined && Number(number) !== Number(before.split('.')[2]) + 1)
      return `${effect.item} came after ${before}`;
  }
  return null;
}

/** With a transport that works again all is acknowledged, and what was offered is there, or was told to be void. */
function comesToRest(code: DeliveryModule, world: World): string | null {
  // Of what was sent before nothing comes any more.
  for (const sent of world.sent) sent.clear();
  for (let round = 0; round < 8; round++) {
    for (const side of [0, 1] as const) {
      const fault = stepBy(code, world, side, { is: 'tick', now: 0 }) ?? stepBy(code, world, side, { is: 'flush' });
      if (fault !== null) return fault;
      const sent = [...world.sent[side]];
      world.sent[side].clear();
      for (const text of sent) {
        const wrong = arrive(code, world, side === 0 ? 1 : 0, text);
        if (wrong !== null) return wrong;
      }
    }
  }
  for (const side of [0, 1] as const) {
    const left = code.unacknowledged(world.links[side]);
    if (left.length > 0) return `${left.map(({ item }) => item).join(', ')}: never acknowledged`;
    const known = [...world.ever[side === 0 ? 1 : 0], ...world.void[side]];
    const lost = world.offered[side].filter((item) => !known.includes(item));
    if (lost.length > 0) return `${lost.join(', ')}: lost, and acknowledged`;
  }
  return null;
}
