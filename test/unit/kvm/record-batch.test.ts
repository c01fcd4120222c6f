/** The records of a batch in turn, read of a ring that is made by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultProfile } from '../../../lib/abi/dsm/profiles.ts';
import { exitReasons } from '../../../lib/abi/kvm/exit-reason.ts';
import { RecordReader, recordSize } from '../../../lib/kvm/vcpu/run/record-ring.ts';

const plan = { reasons: [2], capacity: 8, unionBytes: 16, ioBytes: 16, watermark: 4, rip: true };

/** Record `i` is an `out` of the byte `i` to port 0x42. */
function reader(): RecordReader {
  const stride = recordSize(plan);
  const view = new DataView(new ArrayBuffer(plan.capacity * stride));
  for (let i = 0; i < plan.capacity; i++) {
    const at = i * stride;
    view.setBigUint64(at, BigInt(i), true);
    view.setBigUint64(at + 8, BigInt(1000 + i), true);
    view.setBigUint64(at + 16, 0xffff_8000_0000_0000n + BigInt(i), true);
    view.setUint32(at + 24, exitReasons.KVM_EXIT_IO, true);
    view.setUint16(at + 28, i % 2, true);
    view.setUint16(at + 30, 1, true);
    const io = at + 32;
    for (const [offset, byte] of [1, 1, 0x42, 0, 1].entries()) view.setUint8(io + offset, byte);
    view.setUint8(io + plan.unionBytes, i);
  }
  return new RecordReader(view.buffer as ArrayBuffer, plan, defaultProfile);
}

test('a loop gets what the calls by number give, in order', () => {
  const ring = reader();
  ring.advance(2);
  const batch = ring.batch(5);
  const all = [...batch];
  assert.deepEqual(
    all.map(({ seq, ns, rip, exit }) => [seq, ns, rip, exit.name === 'KVM_EXIT_IO' && exit.data[0]]),
    [2, 3, 4, 5, 6].map((i) => [i, 1000 + i, i % 2 ? 0xffff_8000_0000_0000n + BigInt(i) : null, i]),
  );
  const byNumber = all.map((_, i) => ({ seq: batch.seq(i), ns: batch.ns(i), rip: batch.rip(i), exit: batch.exit(i) }));
  assert.deepEqual(all, byNumber);
  assert.deepEqual([...batch], all, 'a second loop begins at the begin');
  assert.deepEqual([...ring.batch(0)], []);
});

test('a loop that is left is over, and others are not', () => {
  const batch = reader().batch(4);
  const first = batch[Symbol.iterator]();
  for (const { seq } of first as IterableIterator<{ seq: number }>) if (seq === 1) break;
  assert.deepEqual(first.next(), { value: undefined, done: true });
  assert.equal([...batch].length, 4);
});
