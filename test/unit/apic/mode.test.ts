/** The modes of a local APIC, and where its registers are in each. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apicMode, x2apicRegisters, xapicRegisters } from '../../../lib/apic/mode.ts';

test('the mode by IA32_APIC_BASE: bit 11 enables, bit 10 is x2APIC', () => {
  assert.equal(apicMode(0xfee0_0000n), 'disabled');
  assert.equal(apicMode(0xfee0_0900n), 'xapic');
  assert.equal(apicMode(0xfee0_0c00n), 'x2apic');
  assert.equal(apicMode(0xfee0_0400n), 'disabled');
});

test('a register: an offset in the page, or an MSR', () => {
  assert.deepEqual(xapicRegisters.read('EOI'), { offset: 0xb0 });
  assert.deepEqual(x2apicRegisters.read('EOI'), { msr: 0x80b });
  assert.deepEqual(x2apicRegisters.read('IRR7'), { msr: 0x827 });
  assert.deepEqual(x2apicRegisters.read('SELF_IPI'), { msr: 0x83f });
  assert.deepEqual(xapicRegisters.write('SVR', 0x1ff), { place: { offset: 0xf0 }, value: 0x1ff });
  assert.deepEqual(x2apicRegisters.write('TPR', 'ebx'), { place: { msr: 0x808 }, value: 'ebx' });
});

test('an IPI: ICR2 before ICR in xAPIC mode, one MSR of 64 bits in x2APIC mode', () => {
  const command = { vector: 0x41, destination: 2 };
  assert.deepEqual(xapicRegisters.icr(command), [
    { place: { offset: 0x310 }, value: 0x0200_0000 },
    { place: { offset: 0x300 }, value: 0x4041 },
  ]);
  assert.deepEqual(x2apicRegisters.icr({ ...command, destination: 0x1_0002 }), [
    { place: { msr: 0x830 }, value: 0x4041, high: 0x1_0002 },
  ]);
});

test('without a destination there is nothing to write for it', () => {
  const command = { vector: 0x41, shorthand: 'self' } as const;
  assert.deepEqual(xapicRegisters.icr(command), [{ place: { offset: 0x300 }, value: 0x4_4041 }]);
  assert.deepEqual(x2apicRegisters.icr(command), [{ place: { msr: 0x830 }, value: 0x4_4041, high: 0 }]);
  assert.throws(() => xapicRegisters.icr({ vector: 1, destination: 256 }), { code: 'ERR_ARGUMENT' });
});
