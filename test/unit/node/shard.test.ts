/** Shards that find each other over a bus that loses, doubles and delays, and by a line that damages what it carries. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { NodesMissingError } from '../../../lib/node/errors.ts';
import { Shard } from '../../../lib/node/shard.ts';
import type { Transport } from '../../../lib/node/transport.ts';
import { lineTransport, serveLine } from '../../../lib/node/transports/line.ts';
import { MemoryBus } from '../../../lib/node/transports/memory.ts';
import { decodeWord, encodeWord } from '../../../lib/node/words.ts';
import { until } from './members.ts';

/** The two ends of a line. @param harm what becomes of bytes on their way */
function lineOf(harm: (bytes: Buffer) => Buffer = (bytes) => bytes): [Duplex, Duplex] {
  const end = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(bytes: Buffer, _encoding, done) {
        // In pieces, as a serial line brings them.
        const harmed = harm(bytes);
        for (let at = 0; at < harmed.length; at += 7) other().push(harmed.subarray(at, at + 7));
        setImmediate(done);
      },
      final(done) {
        other().push(null);
        done();
      },
    });
  const ends: [Duplex, Duplex] = [end(() => ends[1]), end(() => ends[0])];
  return ends;
}

/** The bus as the inner end of a line sees it. */
function overLine(transport: Transport, harm?: (bytes: Buffer) => Buffer): Transport {
  const [inner, outer] = lineOf(harm);
  serveLine(outer, transport);
  return lineTransport(inner);
}

const random = () => {
  let state = 1;
  return () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
};

const part = (vcpus: number[], transport: Transport, of = 4) => ({ vm: 'test', vcpus, of, transport });

describe('shards', { timeout: 60_000 }, () => {
  test('come together, number themselves alike, and hear when one leaves', async () => {
    const bus = new MemoryBus({ loss: 0.2, duplicate: 0.2, delay: 0.2, random: random() });
    const all = await Promise.all([
      Shard.join(part([3], bus.join()), 20_000),
      Shard.join(part([0, 2], bus.join()), 20_000),
      Shard.join(part([1], overLine(bus.join())), 20_000),
    ]);
    assert.deepEqual(
      all.map(({ node }) => node),
      [2, 0, 1],
    );
    for (const { homes } of all) assert.deepEqual(homes, [0, 1, 0, 2]);
    const names = all.map((shard) => shard.nextMachine().name);
    assert.equal(new Set(names).size, 1);
    assert.notEqual(all[0]!.nextMachine().name, names[0], 'the next machine is another');
    await all[1]!.leave('failed');
    await until(() => all[0]!.left(0) === 'failed' && all[2]!.left(0) === 'failed', 'they have heard of it');
    await Promise.all([all[0]!.leave('ended'), all[2]!.leave('ended')]);
  });

  test('one that waits in vain says which vCPUs nobody runs', async () => {
    const bus = new MemoryBus();
    await assert.rejects(Shard.join(part([0, 2], bus.join()), 50), (error: unknown) => {
      assert.ok(error instanceof NodesMissingError);
      assert.deepEqual(error.missing, [1, 3]);
      assert.deepEqual([error.code, error.exitCode], ['ERR_NODES_MISSING', 3]);
      assert.match(error.message, /within 50 ms: nobody runs vCPUs 1 and 3$/);
      return true;
    });
  });

  test('two that want the same vCPU, or machines of another size, are told so', async () => {
    const bus = new MemoryBus();
    const wrong = await Promise.allSettled([
      Shard.join(part([0, 1], bus.join()), 300),
      Shard.join(part([1, 2, 3], bus.join()), 300),
      Shard.join(part([2], bus.join(), 3), 300),
    ]);
    const said = wrong.map((result) => (result.status === 'rejected' ? String(result.reason.message) : 'joined'));
    assert.match(said[0]!, /several run vCPU 1, and somebody says that it has 3 vCPUs$/);
    assert.match(said[1]!, /several run vCPU 1/);
    assert.match(said[2]!, /nobody runs vCPUs 0 and 1/);
  });

  test('of a message that is no word of this machine nothing is used', () => {
    const word = { shard: 'a', n: 1, vcpus: [0], of: 1, sees: [], left: 'no', gone: [] } as const;
    const bytes = encodeWord('test', word);
    assert.deepEqual(decodeWord('company', 'test', bytes), word);
    const text = Buffer.from(bytes).toString();
    const strange = [
      '',
      'x',
      '[]',
      'null',
      '{"v":1}',
      text.replace('"vm":"test"', '"vm":"other"'),
      text.replace('"v":1', '"v":2'),
      text.replace('"of":1', '"of":65'),
      text.replace('[0]', '[64]'),
      text.replace('"left":"no"', '"left":"maybe"'),
      text.replace('"gone"', '"went"'),
      ' '.repeat(40_000),
    ];
    for (const one of strange) assert.equal(decodeWord('company', 'test', Buffer.from(one)), null, one);
    assert.equal(decodeWord('stage', 'test', bytes), null);
  });
});

describe('a line', { timeout: 60_000 }, () => {
  test('carries subjects both ways, and loses what it damages', async () => {
    const bus = new MemoryBus();
    let harms = 0;
    // Each ninth packet lacks a byte.
    const harm = (bytes: Buffer) =>
      ++harms % 9 === 0 ? Buffer.concat([bytes.subarray(0, 20), bytes.subarray(21)]) : bytes;
    const inner = overLine(bus.join(), harm);
    const outside = bus.join();
    const came: string[] = [];
    const back: string[] = [];
    outside.subscribe('up', (message) => void came.push(Buffer.from(message).toString()));
    inner.subscribe('down', (message) => void back.push(Buffer.from(message).toString()));
    await until(() => {
      outside.publish('down', Buffer.from('{"again":1}'));
      return back.length > 0;
    }, 'the subscription has come through');
    for (let number = 0; number < 90; number++) inner.publish('up', Buffer.from(`{"number":${number}}`));
    await until(() => came.includes('{"number":89}') || came.length >= 80, 'they have come');
    assert.ok(came.length >= 79 && came.length < 90, `${came.length} came`);
    for (const one of came) assert.match(one, /^\{"number":\d+\}$/);
    assert.equal(new Set(came).size, came.length);
    await inner.close();
  });
});
