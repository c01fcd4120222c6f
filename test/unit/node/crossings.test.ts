// When an interrupt between nodes was where, put together of what the nodes tell.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeIcr } from '../../../lib/abi/apic/icr.ts';
import type { Ipi } from '../../../lib/apic/ipi.ts';
import { describeNodeIpi, nodeIpiFromJson, nodeIpiToJson, summaryOf } from '../../../lib/node/crossing-words.ts';
import { Crossings } from '../../../lib/node/crossings.ts';

const BORN = 1000;
const ipi = (icr: number, destination = 2, from = 0): Ipi => {
  return { from, command: decodeIcr(icr), destination, mode: 'xapic', seq: null };
};
const fixed = ipi(0x4040);
const nobody = () => false;

/** vCPU 0 of node 0 sends, node 1 replays. */
function crossed(crossings: Crossings, sent: number, of = fixed, vcpus = [2]): void {
  crossings.sent(0, of, sent, [1], []);
  crossings.handed(0, sent, sent + 100);
  crossings.replayed({ node: 1, home: 0, number: 1 }, of, { ns: sent, at: sent + 300 }, vcpus);
}

describe('one that a handler tells of', () => {
  const crossings = new Crossings(BORN);
  crossed(crossings, 5000);
  crossings.handled(2, 0x40, 6000);
  crossings.conclude(nobody);
  const [told] = crossings.list(0);

  test('has its times from the making of the machine on, and how long after it was sent, in microseconds', () => {
    assert.deepEqual(told, {
      from: 0,
      node: 0,
      command: {
        vector: 0x40,
        deliveryMode: 'fixed',
        destinationMode: 'physical',
        level: 'assert',
        trigger: 'edge',
        shorthand: 'none',
      },
      destination: 2,
      mode: 'xapic',
      sent: 4000,
      handed: 4100,
      handedAfter: 0.1,
      to: [
        {
          node: 1,
          number: 1,
          replayed: 4300,
          replayedAfter: 0.3,
          vcpus: [{ vcpu: 2, handled: 5000, handledAfter: 1 }],
        },
      ],
    });
  });

  test('is one line, and the same from its JSON', () => {
    const line =
      'vCPU 0 of node 0: vector 0x40 for APIC id 2, with the transport after 0 us; node 1 replayed it after 0 us, vCPU 2 handled it after 1 us';
    assert.equal(describeNodeIpi(told!), line);
    const json = JSON.parse(JSON.stringify(nodeIpiToJson(told!)));
    assert.equal(json.type, 'node-ipi');
    assert.equal(describeNodeIpi(nodeIpiFromJson(json)), line);
    const { to: _, ...without } = json;
    assert.throws(() => nodeIpiFromJson(without), { name: 'TypeError', message: 'to is missing' });
  });

  test('is in the summary of several', () => {
    assert.equal(
      summaryOf([told!, told!], 1),
      '2 interrupts between nodes, 1 of them not shown; replayed after 0 us (median), 0 us (p99); handled after 1 us (median), 1 us (p99)',
    );
  });
});

const handledOf = (crossings: Crossings) =>
  crossings.list(0).map(({ to }) => to.flatMap(({ vcpus }) => vcpus.map(({ handled }) => handled)));

describe('nothing is said of a handler', () => {
  const cases: [string, (crossings: Crossings) => void, ((vcpu: number, vector: number) => boolean | undefined)?][] = [
    ['that tells nothing', () => {}],
    ['of another vector', (it) => it.handled(2, 0x41, 6000)],
    [
      'that ran once for two',
      (it) => {
        crossed(it, 5001);
        it.handled(2, 0x40, 6000);
      },
    ],
    ['that ran before the interrupt came', (it) => it.handled(2, 0x40, 5100)],
    [
      'that ran oftener',
      (it) => {
        it.handled(2, 0x40, 6000);
        it.handled(2, 0x40, 6001);
      },
    ],
    [
      'where a vCPU of its own node sends the vector as well',
      (it) => {
        it.sent(1, fixed, 5500, [], [2]);
        it.handled(2, 0x40, 6000);
      },
    ],
    [
      'where the script may have sent it',
      (it) => {
        it.acted();
        it.handled(2, 0x40, 6000);
      },
    ],
    ['where nobody knows what waits', (it) => it.handled(2, 0x40, 6000), () => undefined],
  ];
  for (const [what, happens, waits = nobody] of cases)
    test(what, () => {
      const crossings = new Crossings(BORN);
      crossed(crossings, 5000);
      happens(crossings);
      crossings.conclude(waits);
      assert.ok(handledOf(crossings).every((of) => of.every((ns) => ns === undefined)));
    });

  test('of one of lowest priority that two may have taken', () => {
    const crossings = new Crossings(BORN);
    crossed(crossings, 5000, ipi(0x4940, 6), [2, 3]);
    crossings.handled(2, 0x40, 6000);
    crossings.conclude(nobody);
    assert.deepEqual(handledOf(crossings), [[undefined, undefined]]);
  });

  test('in the run after one that has left it waiting', () => {
    const crossings = new Crossings(BORN);
    crossed(crossings, 5000);
    crossings.conclude(() => true);
    crossed(crossings, 7000);
    crossings.handled(2, 0x40, 8000);
    crossings.conclude(nobody);
    assert.deepEqual(handledOf(crossings), [[undefined], [undefined]]);
    crossed(crossings, 9000);
    crossings.handled(2, 0x40, 10_000);
    crossings.conclude(nobody);
    assert.deepEqual(handledOf(crossings).at(-1), [9000]);
  });
});

test('of two, the first was handled and the other waits', () => {
  const crossings = new Crossings(BORN);
  crossed(crossings, 5000);
  crossings.handled(2, 0x40, 6000);
  crossed(crossings, 7000);
  crossings.conclude(() => true);
  assert.deepEqual(handledOf(crossings), [[5000], [undefined]]);
});

test('an NMI is handled by its own handler; what replays one is no act of the script', () => {
  const crossings = new Crossings(BORN);
  crossings.replaying(0, () => crossings.acted());
  crossed(crossings, 5000, ipi(0x4400));
  crossings.handled(2, 2, 6000);
  crossings.conclude(nobody);
  assert.deepEqual(handledOf(crossings), [[5000]]);
});

test('one to two nodes has both, and its first message counts', () => {
  const crossings = new Crossings(BORN);
  const all = ipi(0xc_4040);
  crossings.sent(0, all, 5000, [1, 2], []);
  crossings.handed(0, 5000, 5200);
  crossings.handed(0, 5000, 5300);
  crossings.replayed({ node: 2, home: 0, number: 7 }, all, { ns: 5000, at: 5400 }, [4]);
  const [told] = crossings.list(0);
  assert.equal(told!.handed, 4200);
  assert.deepEqual(
    told!.to.map(({ node, number, replayed, vcpus }) => [node, number, replayed, vcpus]),
    [
      [1, undefined, undefined, []],
      [2, 7, 4400, [{ vcpu: 4 }]],
    ],
  );
  assert.match(describeNodeIpi(told!), /; node 1 has not replayed it here; node 2 replayed it after 0 us$/);
});

test('one of another process has no beginning that this clock knows', () => {
  const crossings = new Crossings(BORN);
  crossings.replayed({ node: 1, home: 0, number: 1 }, fixed, { ns: 99, at: 5000 }, [2]);
  crossings.handled(2, 0x40, 6000);
  crossings.conclude(nobody);
  const [told] = crossings.list(0);
  assert.equal(told!.sent, undefined);
  assert.deepEqual(told!.to, [{ node: 1, number: 1, replayed: 4000, vcpus: [{ vcpu: 2, handled: 5000 }] }]);
  assert.equal(
    describeNodeIpi(told!),
    'vCPU 0 of node 0: vector 0x40 for APIC id 2; node 1 replayed it, vCPU 2 handled it',
  );
  assert.equal(crossings.list(1).length, 0);
});
