/** The struct codec: every field type there and back, and what it refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cpuid2Room,
  decodeCpuid2,
  decodeGsiRouting,
  decodeMsrList,
  decodeMsrs,
  encodeCpuid2,
  encodeGsiRouting,
  encodeMsrList,
  encodeMsrs,
  kvmRegs,
  kvmSregs,
  kvmVcpuEvents,
} from '../../../lib/abi/kvm/index.ts';
import {
  array,
  bool,
  bytes,
  cNameOf,
  type Layout,
  layout,
  s32,
  s64,
  struct,
  structArray,
  u8,
  u16,
  u32,
  u64,
} from '../../../lib/abi/layout.ts';
import { ArgumentError } from '../../../lib/base/errors.ts';

const pair = layout(null, 8, { low: u32(0), high: u32(4) });
const everything = layout('struct everything', 80, {
  a: u8(0),
  b: u16(2),
  c: u32(4),
  d: s32(8),
  e: bool(12),
  f: bytes(13, 3),
  g: u64(16),
  h: s64(24),
  i: array(u16, 32, 4),
  j: struct(pair, 40),
  k: structArray(pair, 48, 2),
});

const u64s = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u32s = fc.integer({ min: 0, max: 0xffff_ffff });
// Decoded structs are plain objects, so the expected ones have to be.
const plain = { noNullPrototype: true };
const pairs = fc.record({ low: u32s, high: u32s }, plain);

test('every field type decodes to what was encoded, at any place of a buffer', () => {
  const values = fc.record(
    {
      a: fc.integer({ min: 0, max: 0xff }),
      b: fc.integer({ min: 0, max: 0xffff }),
      c: u32s,
      d: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
      e: fc.boolean(),
      f: fc.uint8Array({ minLength: 3, maxLength: 3 }).map((value) => new Uint8Array(value)),
      g: u64s,
      h: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      i: fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 4, maxLength: 4 }),
      j: pairs,
      k: fc.array(pairs, { minLength: 2, maxLength: 2 }),
    },
    plain,
  );
  fc.assert(
    fc.property(values, fc.nat(16), (value, base) => {
      assert.deepEqual(everything.decode(everything.encode(value)), value);
      const view = new DataView(new ArrayBuffer(base + everything.size));
      everything.write(view, value, base);
      assert.deepEqual(everything.read(view, base), value);
    }),
  );
});

test('little endian, at the declared offsets', () => {
  const buffer = everything.encode({ b: 0x1234, c: 0x89ab_cdef, d: -2, g: 0x0102_0304_0506_0708n, i: [1, 2, 3, 4] });
  assert.equal(Buffer.from(buffer.subarray(0, 12)).toString('hex'), '00003412efcdab89feffffff');
  assert.equal(Buffer.from(buffer.subarray(16, 24)).toString('hex'), '0807060504030201');
  assert.equal(Buffer.from(buffer.subarray(32, 40)).toString('hex'), '0100020003000400');
});

test('write changes the fields it is given and nothing else', () => {
  const buffer = new Uint8Array(everything.size).fill(0xee);
  everything.write(new DataView(buffer.buffer), { c: 0 });
  assert.deepEqual(
    [...buffer.keys()].filter((index) => buffer[index] !== 0xee),
    [4, 5, 6, 7],
  );
});

test('decoded bytes are a copy', () => {
  const buffer = everything.encode({ f: Uint8Array.of(1, 2, 3) });
  const { f } = everything.decode(buffer);
  buffer.fill(0);
  assert.deepEqual([...f], [1, 2, 3]);
});

test('a value that the field cannot hold is refused', () => {
  const cases: [string, unknown][] = [
    ['a', 256],
    ['a', -1],
    ['a', 1.5],
    ['a', 1n],
    ['b', 0x1_0000],
    ['c', 0x1_0000_0000],
    ['c', Number.NaN],
    ['d', 0x8000_0000],
    ['d', -0x8000_0001],
    ['f', new Uint8Array(4)],
    ['g', -1n],
    ['g', 2n ** 64n],
    ['g', 1],
    ['h', 2n ** 63n],
    ['h', -(2n ** 63n) - 1n],
    ['i', [0, 0, 0, 0, 0]],
    ['j', { low: -1 }],
    ['k', [{ low: 0, high: 2 ** 32 }]],
  ];
  for (const [field, value] of cases) {
    assert.throws(() => everything.encode({ [field]: value }), ArgumentError, `${field} = ${String(value)}`);
  }
  assert.throws(() => everything.decode(new Uint8Array(79)), {
    name: 'ArgumentError',
    message: /has 80 bytes, got 79/,
  });
});

test('a property is snake_case in C unless it says otherwise', () => {
  assert.equal(cNameOf('interruptBitmap', u8(0)), 'interrupt_bitmap');
  assert.equal(cNameOf('pc', u8(0, { cName: 'arch.pc' })), 'arch.pc');
});

test('fields lie within their struct and do not overlap', () => {
  for (const one of [kvmRegs, kvmSregs, kvmVcpuEvents] as unknown as Layout<Record<string, unknown>>[]) {
    let end = 0;
    for (const field of Object.values(one.fields)) {
      assert.ok(field.offset >= end);
      end = field.offset + field.size;
    }
    assert.ok(end <= one.size);
  }
});

test('kvm_sregs decodes to nested segments, tables and the interrupt bitmap', () => {
  const { cs, gdt, interruptBitmap, apicBase } = kvmSregs.decode(
    kvmSregs.encode({
      cs: { ...kvmSregs.decode(new Uint8Array(312)).cs, selector: 0x10, type: 11, limit: 0xffff_ffff, unusable: 1 },
      gdt: { base: 0x1000n, limit: 0x27 },
      interruptBitmap: [1n, 0n, 0n, 1n << 63n],
      apicBase: 0xfee0_0900n,
    }),
  );
  assert.deepEqual([cs.selector, cs.type, cs.limit, cs.unusable, cs.base], [0x10, 11, 0xffff_ffff, 1, 0n]);
  assert.deepEqual(gdt, { base: 0x1000n, limit: 0x27 });
  assert.deepEqual(interruptBitmap, [1n, 0n, 0n, 1n << 63n]);
  assert.equal(apicBase, 0xfee0_0900n);
});

test('lists: a count, then the entries', () => {
  const msrs = [
    { index: 0x1b, data: 0xfee0_0900n },
    { index: 0x830, data: 2n ** 64n - 1n },
  ];
  assert.equal(encodeMsrs(msrs).length, 8 + 2 * 16);
  assert.deepEqual(decodeMsrs(encodeMsrs(msrs)), msrs);

  const leaf = { function: 0xb, index: 1, flags: 1, eax: 1, ebx: 2, ecx: 3, edx: 4 };
  assert.deepEqual(decodeCpuid2(encodeCpuid2([leaf])), [leaf]);
  assert.deepEqual(cpuid2Room(3), encodeCpuid2([{}, {}, {}]));

  const route = { gsi: 5, type: 2, flags: 0, u: [0xfee0_0000, 0, 0x4040, 0, 0, 0, 0, 0] };
  assert.deepEqual(decodeGsiRouting(encodeGsiRouting([route])), [route]);

  const list = encodeMsrList(3);
  assert.equal(list.length, 4 + 3 * 4);
  new DataView(list.buffer).setUint32(8, 0x174, true);
  assert.deepEqual(decodeMsrList(list), [0, 0x174, 0]);
});

test('a list whose count is too big ends where the buffer ends', () => {
  const list = encodeMsrs([{ index: 1 }]);
  new DataView(list.buffer).setUint32(0, 0xffff_ffff, true);
  assert.equal(decodeMsrs(list).length, 1);
});
