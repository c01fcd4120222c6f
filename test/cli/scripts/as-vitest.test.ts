import { flat32, hlt, type Machine, machine, out8 } from 'kvm-dsm';
import { afterAll, beforeAll, describe, expect, test } from 'kvm-dsm/vitest';

let m: Machine;
beforeAll(async () => {
  m = await machine();
});
afterAll(() => m.close());

const fails = process.argv.includes('fail') || process.env.FAIL === '1';

describe('a guest', () => {
  test('writes to a port', async () => {
    m.vcpu(0).program(flat32(out8(0x42), hlt));
    const [exit] = await m.run();
    expect(exit).toMatchObject({ exit: { name: 'KVM_EXIT_IO', port: fails ? 0x43 : 0x42 } });
  });
});

test.each([
  [1, 2],
  [3, 6],
])('twice %i is %i', (value, twice) => {
  expect(2 * value).toBe(twice);
});

test('ends by itself', ({ skip }) => {
  skip('enough');
  throw new Error('this is not reached');
}, 5000);

test.skipIf(true)('is left out', () => {
  throw new Error('this runs nowhere');
});
