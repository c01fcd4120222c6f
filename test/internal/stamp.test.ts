/** The time stamp of an exit of the calling thread's run: the addon's, not JavaScript's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hlt, spin, type Vcpu } from '../../lib/index.ts';
import type { NativeVcpu } from '../../lib/kvm/native.ts';
import { withGuest } from '../support/guest32.ts';
import { noKvm } from '../support/host.ts';

const nativeOf = (vcpu: Vcpu) => (vcpu as unknown as { native: NativeVcpu }).native;
const now = () => Number(process.hrtime.bigint());
const ETIME = 62;

test('it lies between the call and its return, and stays until the next exit', { skip: noKvm }, () => {
  let stamp: Float64Array = new Float64Array();
  let last = 0;
  withGuest({ irqchip: 'none' }, (guest) => {
    const native = nativeOf(guest.vcpu);
    stamp = native.stamp;
    assert.equal(stamp, native.stamp, 'one array');
    assert.deepEqual([...stamp], [0]);
    for (let round = 0; round < 3; round++) {
      guest.load([hlt]);
      const before = now();
      assert.equal(native.run(1), 0);
      const after = now();
      last = stamp[0] as number;
      assert.ok(before <= last && last <= after, `${before} <= ${last} <= ${after}`);
    }
    guest.load([spin]);
    assert.equal(native.run(0.001), -ETIME);
    assert.equal(stamp[0], last, 'a deadline is no exit');
  });
  assert.equal(stamp[0], last, 'the vCPU is closed, the array is not');
});
