/** Nodes that are joined in one process, by a bus that loses, doubles and delays; and what a router loses by it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NodeLostError, NodeQueueError } from '../../../lib/node/errors.ts';
import { MemoryBus } from '../../../lib/node/transports/memory.ts';
import { Random } from '../../../lib/script/random.ts';
import { COUNT as COUNT_COMPARED, judged, throughFaults } from './compare.ts';
import { homesOf, numbered, type Peer, type PeerOptions, peer, until, upTo } from './members.ts';

const fast = { resend: 5, longest: 20 };

function joined(bus: MemoryBus, nodes: number, options: PeerOptions = { limits: fast }): Peer[] {
  return Array.from({ length: nodes }, (_, node) => peer(bus.join(), node, nodes, options));
}

const closeAll = (peers: readonly Peer[]) => Promise.all(peers.map(({ carrier }) => carrier.close()));

const COUNT = 300;

/** Each vCPU sends so many to all other nodes. */
function sendAll(peers: readonly Peer[]): void {
  const homes = homesOf(peers.length);
  for (const number of upTo(COUNT))
    for (const [source, home] of homes.entries()) {
      const others = [...peers.keys()].filter((node) => node !== home);
      peers[home]!.carrier.offer(source, numbered(number), others);
    }
}

describe('nodes on a bus', () => {
  for (const nodes of [2, 3])
    test(`${nodes} nodes: all of each source comes once and in order, through loss, duplication and delay`, async () => {
      const random = new Random(nodes);
      const bus = new MemoryBus({
        loss: 0.2,
        duplicate: 0.2,
        delay: 0.3,
        random: () => random.integer(0, 999_999) / 1e6,
      });
      const peers = joined(bus, nodes);
      sendAll(peers);
      await until(() => peers.every(({ carrier }) => carrier.quiet), 'all is acknowledged');
      for (const [node, { got, failures, joined: restarts }] of peers.entries()) {
        const foreign = homesOf(nodes).flatMap((home, source) => (home === node ? [] : [source]));
        assert.deepEqual(failures, []);
        assert.equal(restarts, 0);
        assert.deepEqual([...got.keys()].toSorted(), foreign);
        for (const source of foreign) assert.deepEqual(got.get(source), upTo(COUNT), `vCPU ${source} at node ${node}`);
      }
      assert.ok(peers.some(({ carrier }) => carrier.counts.resent > 0));
      assert.ok(peers.some(({ carrier }) => carrier.counts.doubled > 0));
      await closeAll(peers);
    });

  test('a cut that heals loses nothing', async () => {
    const bus = new MemoryBus();
    const peers = joined(bus, 2);
    await until(() => peers.every(({ carrier }) => carrier.acquainted), 'they know each other');
    bus.cut = true;
    sendAll(peers);
    await until(() => peers[0]!.carrier.counts.resent > 0, 'it was tried again');
    assert.equal(peers[1]!.got.size, 0);
    bus.cut = false;
    await until(() => peers.every(({ carrier }) => carrier.quiet), 'all is acknowledged');
    assert.deepEqual(peers[1]!.got.get(0), upTo(COUNT));
    await closeAll(peers);
  });

  test('a node that is killed is named by the deadline, with each interrupt that it has not acknowledged', async () => {
    const bus = new MemoryBus();
    const peers = joined(bus, 3, { limits: { ...fast, deadline: 200 } });
    await until(() => peers.every(({ carrier }) => carrier.acquainted), 'they know each other');
    await peers[2]!.carrier.close();
    peers[0]!.carrier.offer(1, numbered(0x0500_0000), [2]);
    await until(() => peers[0]!.failures.length > 0 && peers[1]!.failures.length > 0, 'both name it');
    const [error] = peers[0]!.failures;
    assert.ok(error instanceof NodeLostError);
    assert.equal(error.code, 'ERR_NODE_LOST');
    assert.equal(error.node, 2);
    assert.deepEqual(error.unacknowledged, [{ source: 1, seq: 1, what: 'vector 0x40 to APIC id 5' }]);
    assert.match(error.report, /vCPU 1 #1: vector 0x40 to APIC id 5/);
    assert.deepEqual((peers[1]!.failures[0] as NodeLostError).unacknowledged, []);
    await closeAll(peers);
  });

  test('a node that is closed has acknowledged what it took', async () => {
    const bus = new MemoryBus();
    const peers = joined(bus, 2, {});
    await until(() => peers.every(({ carrier }) => carrier.acquainted), 'they know each other');
    peers[0]!.carrier.offer(0, numbered(1), [1]);
    await until(() => peers[1]!.got.size === 1, 'it has come');
    await peers[1]!.carrier.close();
    await until(() => peers[0]!.carrier.quiet, 'it is acknowledged');
    await closeAll(peers);
  });

  test('a node that begins anew gets what is sent from then on, and nothing of what was for its earlier run', async () => {
    const bus = new MemoryBus();
    const peers = joined(bus, 2);
    await until(() => peers.every(({ carrier }) => carrier.acquainted), 'they know each other');
    await peers[1]!.carrier.close();
    peers[0]!.carrier.offer(0, numbered(1), [1]);
    const again = peer(bus.join(), 1, 2, { limits: fast });
    await until(() => peers[0]!.joined === 1, 'node 0 sees that it is another run');
    const [error] = peers[0]!.failures;
    assert.ok(error instanceof NodeLostError);
    assert.match(error.message, /^Node 1 \(vCPUs 2 and 3\) has begun anew; 1 interrupt to it not acknowledged/);
    peers[0]!.carrier.offer(0, numbered(2), [1]);
    again.carrier.offer(2, numbered(3), [0]);
    await until(() => peers[0]!.carrier.quiet && again.carrier.quiet, 'all is acknowledged');
    assert.deepEqual(again.got, new Map([[0, [2]]]));
    assert.deepEqual(peers[0]!.got, new Map([[2, [3]]]));
    await closeAll([peers[0]!, again]);
  });

  test('a node that comes late gets all', async () => {
    const bus = new MemoryBus();
    const first = peer(bus.join(), 0, 2, { limits: fast });
    first.carrier.offer(0, numbered(1), [1]);
    const second = peer(bus.join(), 1, 2, { limits: fast });
    await until(() => first.carrier.quiet, 'it is acknowledged');
    assert.deepEqual(second.got, new Map([[0, [1]]]));
    await closeAll([first, second]);
  });

  test('a full queue is an error that names the node', async () => {
    const peers = [peer(new MemoryBus().join(), 0, 2, { limits: { ...fast, capacity: 2 } })];
    for (const number of upTo(3)) peers[0]!.carrier.offer(0, numbered(number), [1]);
    const [error] = peers[0]!.failures;
    assert.ok(error instanceof NodeQueueError);
    assert.equal(error.code, 'ERR_NODE_QUEUE');
    assert.equal(error.node, 1);
    await closeAll(peers);
  });

  test('what is malformed, foreign or forged is counted by its reason and changes nothing', async () => {
    const bus = new MemoryBus();
    const peers = joined(bus, 2, { limits: fast, key: 'k' });
    const stranger = bus.join();
    for (const text of ['{', 'x'.repeat(20_000)]) stranger.publish('node.1', Buffer.from(text));
    peers[0]!.carrier.offer(0, numbered(1), [1]);
    await until(() => peers[0]!.carrier.quiet, 'it is acknowledged');
    assert.deepEqual(peers[1]!.got, new Map([[0, [1]]]));
    const { refused } = peers[1]!.carrier.counts;
    assert.deepEqual({ forged: refused.forged, size: refused.size }, { forged: 1, size: 1 });
    await closeAll(peers);
  });

  test('one message is for all nodes that a broadcast is for; a unicast interrupt is one to one node', async () => {
    const bus = new MemoryBus();
    const peers = joined(bus, 3, {});
    await until(() => peers.every(({ carrier }) => carrier.acquainted), 'they know each other');
    const before = peers[0]!.carrier.counts.published;
    peers[0]!.carrier.offer(0, numbered(1), [1, 2]);
    peers[0]!.carrier.offer(0, numbered(2), [1]);
    assert.equal(peers[0]!.carrier.counts.published - before, 2);
    await until(() => peers[0]!.carrier.quiet, 'all is acknowledged');
    assert.deepEqual(peers[1]!.got.get(0), [1, 2]);
    assert.deepEqual(peers[2]!.got.get(0), [1]);
    await closeAll(peers);
  });

  test('a router loses, doubles and reorders what the bus does, and needs four messages for each interrupt of three nodes', async () => {
    const ours = await throughFaults({ limits: fast });
    assert.deepEqual(judged(ours.got), { lost: 0, doubled: 0, late: 0 });
    const router = await throughFaults({ router: true });
    assert.equal(router.published, COUNT_COMPARED * 4);
    const { lost, doubled, late } = judged(router.got);
    assert.ok(lost > 0 && doubled > 0 && late > 0, JSON.stringify({ lost, doubled, late }));
    assert.ok(ours.published < router.published);
  });
});
