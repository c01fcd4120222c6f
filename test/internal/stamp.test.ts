/** The time stamp of an exit of the calling thread's run: the addon's, not JavaScript's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hlt, spin, type Vcpu } from '../../lib/index.ts';
import { deskNumbers, type NativeVcpu, nativeCalls } from '../../lib/kvm/native.ts';
import { withGuest } from '../support/guest32.ts';
import { noKvm } from '../support/host.ts';

const nativeOf = (vcpu: Vcpu) => (vcpu as unknown as { native: NativeVcpu }).native;
const now = () => Number(process.hrtime.bigint());
const ETIME = 62;

test('it lies between the call and its return, and stays until the next exit', { skip: noKvm }, () => {
  let desk = new Float64Array();
  let last = 0;
  withGuest({ irqchip: 'none' }, (guest) => {
    const native = nativeOf(guest.vcpu);
    assert.equal(native.desk, native.desk, 'one buffer');
    desk = new Float64Array(native.desk, 0, 4);
    const { enter } = nativeCalls();
    const run = (seconds: number) => {
      desk[deskNumbers.seconds] = seconds;
      return enter(native.number);
    };
    assert.equal(desk[deskNumbers.stampNs], 0);
    for (let round = 0; round < 3; round++) {
      guest.load([hlt]);
      const before = now();
      assert.equal(run(1), 0);
      const after = now();
      last = desk[deskNumbers.stampNs]!;
      assert.ok(before <= last && last <= after, `${before} <= ${last} <= ${after}`);
    }
    guest.load([spin]);
    assert.equal(run(0.001), -ETIME);
    assert.equal(desk[deskNumbers.stampNs], last, 'a deadline is no exit');
  });
  assert.equal(desk[deskNumbers.stampNs], last, 'the vCPU is closed, the buffer is not');
});
