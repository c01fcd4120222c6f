/** The ICR codec against the bit positions of the Intel SDM, volume 3, "Interrupt Command Register (ICR)". */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type DeliveryMode,
  decodeIcr,
  decodeIcr2,
  decodeX2Icr,
  describeIcr,
  encodeIcr,
  encodeIcr2,
  encodeX2Icr,
  type Shorthand,
} from '../../../lib/abi/apic/icr.ts';
import { ArgumentError } from '../../../lib/base/errors.ts';

const u32s = fc.integer({ min: 0, max: 0xffff_ffff });

test('any ICR decodes and encodes to itself', () => {
  fc.assert(fc.property(u32s, (value) => assert.equal(encodeIcr(decodeIcr(value)), value)));
  fc.assert(fc.property(u32s, (value) => assert.equal(encodeIcr2(decodeIcr2(value)), value)));
  const u64s = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(fc.property(u64s, (value) => assert.equal(encodeX2Icr(decodeX2Icr(value)), value)));
});

test('every single bit survives, and belongs to one field', () => {
  for (let bit = 0; bit < 64; bit++) {
    const value = 1n << BigInt(bit);
    assert.equal(encodeX2Icr(decodeX2Icr(value)), value, `x2APIC bit ${bit}`);
    if (bit < 32) assert.equal(encodeIcr(decodeIcr(Number(value))), Number(value), `bit ${bit}`);
    if (bit < 32) assert.equal(encodeIcr2(decodeIcr2(Number(value))), Number(value), `ICR2 bit ${bit}`);
  }
});

test('the fields stand at the bits of the SDM', () => {
  const idle = decodeIcr(0);
  assert.deepEqual(idle, {
    vector: 0,
    deliveryMode: 'fixed',
    destinationMode: 'physical',
    deliveryStatus: 'idle',
    level: 'deassert',
    trigger: 'edge',
    shorthand: 'none',
    reserved: 0,
  });
  assert.equal(decodeIcr(0xf0).vector, 0xf0);
  const modes: DeliveryMode[] = ['fixed', 'lowestPriority', 'smi', 'reserved3', 'nmi', 'init', 'startUp', 'reserved7'];
  modes.forEach((mode, bits) => {
    assert.equal(decodeIcr(bits << 8).deliveryMode, mode);
  });
  assert.equal(decodeIcr(1 << 11).destinationMode, 'logical');
  assert.equal(decodeIcr(1 << 12).deliveryStatus, 'sendPending');
  assert.equal(decodeIcr(1 << 14).level, 'assert');
  assert.equal(decodeIcr(1 << 15).trigger, 'level');
  const shorthands: Shorthand[] = ['none', 'self', 'allIncludingSelf', 'allExcludingSelf'];
  shorthands.forEach((shorthand, bits) => {
    assert.equal(decodeIcr(bits << 18).shorthand, shorthand);
  });
  for (const bit of [13, 16, 17, 20, 24, 31]) {
    assert.deepEqual(decodeIcr(2 ** bit), { ...idle, reserved: 2 ** bit }, `bit ${bit} is reserved`);
  }
  assert.deepEqual(decodeIcr2(0x0100_0002), { destination: 1, reserved: 2 });
  assert.equal(decodeX2Icr(0x1234_5678_0000_40f0n).destination, 0x1234_5678);
  assert.equal(decodeX2Icr(1n << 12n).reserved, 1 << 12, 'x2APIC mode has no delivery status');
});

test('what is not given is fixed, physical, assert, edge, no shorthand', () => {
  assert.equal(encodeIcr({ vector: 0xf0 }), 0x40f0);
  assert.equal(encodeIcr({ vector: 0, deliveryMode: 'init' }), 0x4500);
  assert.equal(encodeIcr({ vector: 8, deliveryMode: 'startUp', level: 'deassert' }), 0x608);
  assert.equal(encodeIcr({ vector: 0x41, shorthand: 'allExcludingSelf', trigger: 'level' }), 0xcc041);
  assert.equal(encodeIcr2({ destination: 0xff }), 0xff00_0000);
  assert.equal(encodeX2Icr({ vector: 0x30, destination: 0xffff_ffff }), 0xffff_ffff_0000_4030n);
});

test('a field that its bits cannot hold is refused', () => {
  const cases: (() => unknown)[] = [
    () => encodeIcr({ vector: 256 }),
    () => encodeIcr({ vector: -1 }),
    () => encodeIcr({ vector: 0.5 }),
    () => encodeIcr({ vector: 0, deliveryMode: 'lowest' as never }),
    () => encodeIcr({ vector: 0, destinationMode: 'flat' as never }),
    () => encodeIcr({ vector: 0, level: 'high' as never }),
    () => encodeIcr({ vector: 0, trigger: 'falling' as never }),
    () => encodeIcr({ vector: 0, shorthand: 'all' as never }),
    () => encodeIcr({ vector: 0, deliveryStatus: 'busy' as never }),
    () => encodeIcr({ vector: 0, reserved: 0x4000 }),
    () => encodeIcr2({ destination: 256 }),
    () => encodeIcr2({ destination: 0, reserved: 0x0100_0000 }),
    () => encodeX2Icr({ vector: 0, destination: 2 ** 32 }),
    () => encodeX2Icr({ vector: 0, destination: 0, reserved: 1 }),
  ];
  for (const each of cases) assert.throws(each, ArgumentError, String(each));
});

test('one line of text', () => {
  assert.equal(describeIcr(decodeIcr(0x40f0)), 'fixed vector 0xf0, physical, assert, edge');
  assert.equal(describeIcr(decodeIcr(0xcc608)), 'start-up vector 0x08, physical, assert, level, to all excluding self');
  assert.equal(
    describeIcr(decodeIcr(0x0010_1941)),
    'lowest priority vector 0x41, logical, deassert, edge, send pending, reserved bits 0x100000',
  );
});
