import { flat32, hlt, type Machine, machine, out8 } from 'kvm-dsm';
import test, { after, before, beforeEach, describe, it } from 'kvm-dsm/node-test';

let m: Machine;
let rounds = 0;
before(async () => {
  m = await machine();
});
after(() => m.close());
beforeEach(() => {
  rounds += 1;
});

test('a guest writes to a port', async () => {
  m.vcpu(0).program(flat32(out8(0x42), hlt));
  (await m.run()).expect([{ name: 'KVM_EXIT_IO', port: 0x42 }]);
});

test('its own reason stays', { skip: 'not today' }, () => {
  throw new Error('this runs nowhere');
});

describe('inside', () => {
  it('a hook has run before each', () => {
    if (rounds < 2) throw new Error(`${rounds} rounds`);
  });
});

test('one that fails where it is asked for', { skip: !process.argv.includes('fail') }, async () => {
  (await m.run()).expect([{ name: 'KVM_EXIT_IO', port: 0x43 }]);
});
