/** What goes between two nodes: nothing lost, doubled or out of order, whatever the transport does. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { transformSync } from 'esbuild';
import fc from 'fast-check';
import * as delivery from '../../../lib/node/delivery.ts';
import { root } from '../../support/command.ts';
import { testFolder } from '../../support/test-folder.ts';
import { type Bounds, type DeliveryModule, type Explored, explore } from './explore.ts';

const { defaultLimits, newLink, step, unacknowledged } = delivery;
type Link = delivery.LinkState<number>;
type Frame = delivery.Frame<number>;

/** Small enough to be explored in seconds; together they have what can meet. */
const small: readonly Bounds[] = [
  { offers: 4, restarts: 0, sources: 1, both: false, questions: 1 },
  { offers: 2, restarts: 0, sources: 2, both: true, questions: 1 },
  { offers: 2, restarts: 1, sources: 1, both: false, questions: 2 },
];

function firstFault(code: DeliveryModule): Explored {
  let states = 0;
  for (const bounds of small) {
    const explored = explore(code, bounds);
    states += explored.states;
    if (explored.fault !== null) return explored;
  }
  return { states, fault: null, way: [] };
}

const folder = testFolder();
let made = 0;

/** The module with one place of its text changed. */
async function broken(from: string, to: string): Promise<DeliveryModule> {
  const text = readFileSync(join(root, 'lib/node/delivery.ts'), 'utf8');
  assert.equal(text.split(from).length, 2, `${JSON.stringify(from)} stands in it once`);
  const { code } = transformSync(text.replace(from, to), { loader: 'ts', format: 'esm' });
  const file = join(folder, `delivery-${++made}.mjs`);
  writeFileSync(file, code);
  return import(file);
}

/** Mistakes that such a protocol is made with. */
const mistakes: readonly { name: string; from: string; to: string }[] = [
  { name: 'nothing is sent again', from: 'if (stream.sent === 0 || now < stream.due) continue;', to: 'continue;' },
  {
    name: 'what came twice is delivered twice',
    from: '    link.doubled += 1;\n',
    to: "    effects.push({ do: 'deliver', source, seq, item });\n",
  },
  {
    name: 'a gap is skipped',
    from: 'for (let next = stream.upTo + 1; stream.early.has(next); next++) {',
    to: 'for (const next of [...stream.early.keys()]) {',
  },
  { name: 'an earlier run of the peer is believed', from: 'if (frame.epoch !== link.theirs) {', to: 'if (false) {' },
  { name: 'a message for an earlier run is taken', from: 'if (frame.to !== link.mine) {', to: 'if (false) {' },
  { name: 'an old answer is believed', from: 'if (link.asked === null || nonce !== link.nonce) {', to: 'if (false) {' },
  { name: 'a peer that begins anew finds the old numbers', from: '    link.in.clear();\n', to: '' },
  { name: 'the old numbers go on for a peer that begins anew', from: '    link.out.clear();\n', to: '' },
  { name: 'one more is acknowledged than came', from: 'const { upTo } = stream;', to: 'const upTo = stream.upTo + 1;' },
  {
    name: 'what came again is not acknowledged again',
    from: 'if (seq > stream.upTo + window) {',
    to: 'if (seq <= stream.upTo) return;\n  if (seq > stream.upTo + window) {',
  },
  {
    name: 'an acknowledgement counts from the wrong end',
    from: 'stream.waiting.splice(0, done);',
    to: 'stream.waiting.splice(-done, done);',
  },
  { name: 'a restart is not noticed', from: '  link.theirs = epoch;\n', to: '  link.theirs ??= epoch;\n' },
];

describe('every state of two nodes', () => {
  test('loses, doubles and reorders nothing', (t) => {
    const { fault, way, states } = firstFault(delivery);
    t.diagnostic(`${states} states`);
    assert.equal(fault, null, way.join('\n'));
  });

  for (const { name, from, to } of mistakes)
    test(`it is seen if ${name}`, async (t) => {
      const { fault, way } = firstFault(await broken(from, to));
      t.diagnostic(`${fault}, by ${way.length} steps`);
      assert.notEqual(fault, null);
    });
});

/** What a transport does to one message: so many copies, each so late. */
const fate = fc.array(fc.integer({ min: 0, max: 120 }), { maxLength: 3 });

/** Two links over a transport with a clock, for as long as something is on its way. */
class Pair {
  readonly links: [Link, Link] = [newLink('A0', 0), newLink('B0', 0)];
  readonly got: Map<number, number[]>[] = [new Map(), new Map()];
  readonly told: delivery.Effect<number>[] = [];
  readonly #limits: delivery.LinkLimits;
  readonly #fates: Iterator<number[]>;
  #flying: { at: number; to: 0 | 1; frame: Frame }[] = [];
  now = 0;

  constructor(limits: Partial<delivery.LinkLimits>, fates: Iterable<number[]>) {
    this.#limits = { ...defaultLimits, ...limits };
    this.#fates = fates[Symbol.iterator]();
  }

  do(side: 0 | 1, event: delivery.LinkEvent<number>): void {
    for (const effect of step(this.links[side], event, this.#limits)) {
      if (effect.do === 'send') {
        // In the end it works.
        const copies = this.#fates.next().value ?? [1];
        for (const late of copies)
          this.#flying.push({ at: this.now + late, to: side === 0 ? 1 : 0, frame: effect.frame });
      } else if (effect.do === 'deliver') {
        const list = this.got[side]!.get(effect.source) ?? [];
        this.got[side]!.set(effect.source, [...list, effect.item]);
      } else this.told.push(effect);
    }
  }

  offer(side: 0 | 1, source: number, item: number): void {
    this.do(side, { is: 'offer', source, item, now: this.now });
  }

  /** Ten milliseconds. */
  turn(): void {
    this.now += 10;
    const arrived = this.#flying.filter(({ at }) => at <= this.now);
    this.#flying = this.#flying.filter(({ at }) => at > this.now);
    for (const { to, frame } of arrived) this.do(to, { is: 'frame', frame, now: this.now });
    for (const side of [0, 1] as const) {
      this.do(side, { is: 'flush' });
      this.do(side, { is: 'tick', now: this.now });
    }
  }
}

describe('a link with a clock', () => {
  test('brings all of several sources, each in its order, once, through a transport that loses, doubles and reorders', () => {
    const offers = fc.array(fc.tuple(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 3 })), { maxLength: 60 });
    fc.assert(
      fc.property(
        offers,
        fc.array(fate, { maxLength: 300 }),
        fc.integer({ min: 1, max: 8 }),
        (sends, fates, window) => {
          const pair = new Pair({ window, deadline: Number.POSITIVE_INFINITY }, fates);
          const sent = [new Map<number, number[]>(), new Map<number, number[]>()];
          for (const [index, [side, source]] of sends.entries()) {
            // A vCPU is one node's.
            const own = source * 2 + side;
            pair.offer(side as 0 | 1, own, index);
            sent[side]!.set(own, [...(sent[side]!.get(own) ?? []), index]);
            if (index % 3 === 0) pair.turn();
          }
          for (let turns = 0; turns < 5000 && pair.links.some((link) => link.waiting > 0); turns++) pair.turn();
          assert.deepEqual(pair.got[1], sent[0]);
          assert.deepEqual(pair.got[0], sent[1]);
          assert.deepEqual(
            pair.told.filter((effect) => effect.do === 'restarted'),
            [],
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  test('names a peer that says nothing, with what it has not acknowledged, once; and a peer that comes late is no other', () => {
    const silent = Array.from({ length: 200 }, () => []);
    const pair = new Pair({ deadline: 500 }, silent);
    pair.offer(0, 0, 7);
    pair.offer(0, 2, 8);
    while (pair.now < 1000) pair.turn();
    const [dead, ...more] = pair.told.filter((effect) => effect.do === 'dead');
    assert.deepEqual(dead, {
      do: 'dead',
      unacknowledged: [
        { source: 0, seq: 1, item: 7 },
        { source: 2, seq: 1, item: 8 },
      ],
    });
    // The other side has named this one.
    assert.deepEqual(more, [{ do: 'dead', unacknowledged: [] }]);
    while (pair.now < 6000) pair.turn();
    assert.deepEqual(
      pair.got[1],
      new Map([
        [0, [7]],
        [2, [8]],
      ]),
    );
    assert.deepEqual(unacknowledged(pair.links[0]), []);
  });

  test('refuses an item when too many wait, and what is too early for its window', () => {
    const pair = new Pair(
      { capacity: 2 },
      Array.from({ length: 10 }, () => []),
    );
    for (const item of [1, 2, 3]) pair.offer(0, 0, item);
    assert.deepEqual(pair.told, [{ do: 'full', source: 0, item: 3 }]);

    const link: Link = { ...newLink('A0', 0), theirs: 'B0' };
    const early: Frame = { kind: 'data', epoch: 'B0', to: 'A0', source: 1, seq: 6, item: 1 };
    const event = { is: 'frame', frame: early, now: 0 } as const;
    assert.deepEqual(step(link, event, { ...defaultLimits, window: 5 }), [{ do: 'refuse', reason: 'early' }]);
    assert.deepEqual(step(link, event, { ...defaultLimits, window: 6 }), []);
  });
});
