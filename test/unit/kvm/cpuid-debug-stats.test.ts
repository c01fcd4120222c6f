/** CPUID helpers, the argument of KVM_SET_GUEST_DEBUG, the ring of coalesced writes, and what a stats fd reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drainCoalescedRing } from '../../../lib/abi/kvm/coalesced-ring.ts';
import {
  encodeCpuid2,
  type KvmCpuidEntry2,
  kvmCoalescedMmio,
  kvmStatsDesc,
  kvmStatsHeader,
} from '../../../lib/abi/kvm/index.ts';
import { ArgumentError } from '../../../lib/base/errors.ts';
import { type Cpuid, cpuidEntry, hidePvIpi, hideX2apic, packCpuid } from '../../../lib/kvm/cpuid.ts';
import { decodeStats } from '../../../lib/kvm/stats.ts';
import { debugArgument } from '../../../lib/kvm/vcpu/debug.ts';

const leaf = (entry: Partial<KvmCpuidEntry2>): KvmCpuidEntry2 => ({
  function: 0,
  index: 0,
  flags: 0,
  eax: 0,
  ebx: 0,
  ecx: 0,
  edx: 0,
  ...entry,
});

test('the helpers hide one bit, and change no other', () => {
  const cpuid = [
    leaf({ function: 1, ecx: 0xffff_ffff }),
    leaf({ function: 0x4000_0001, eax: 0xffff_ffff, ecx: 0xffff_ffff }),
    leaf({ function: 2, ecx: 0xffff_ffff }),
  ];
  const before = structuredClone(cpuid);
  const hidden = hidePvIpi(hideX2apic(cpuid));
  assert.deepEqual(
    hidden.map(({ eax, ecx }) => [eax, ecx]),
    [
      [0, 0xffdf_ffff],
      [0xffff_f7ff, 0xffff_ffff],
      [0, 0xffff_ffff],
    ],
  );
  assert.deepEqual(cpuid, before, 'the list that was given is as it was');
});

test('a leaf with subleaves is found by them', () => {
  const cpuid = [
    leaf({ function: 4, index: 0, flags: 1, eax: 10 }),
    leaf({ function: 4, index: 1, flags: 1, eax: 11 }),
  ];
  assert.equal(cpuidEntry(cpuid, 4, 1)?.eax, 11);
  assert.equal(cpuidEntry(cpuid, 4, 2), undefined);
  assert.equal(cpuidEntry(cpuid, 5), undefined);
});

test('a list becomes the bytes that KVM takes', () => {
  const usual = [leaf({ function: 0x8000_0001, edx: 0xffff_ffff }), leaf({ function: 4, index: 3, flags: 1, ebx: 7 })];
  assert.deepEqual(packCpuid('cpuid', usual), encodeCpuid2(usual));
  assert.deepEqual(packCpuid('cpuid', []), encodeCpuid2([]));
  // Unusual, and sound: an object that inherits its fields.
  const inherited = Object.create(usual[0]!) as KvmCpuidEntry2;
  assert.deepEqual(packCpuid('cpuid', [inherited]), encodeCpuid2([usual[0]!]));
  // What was checked is what is used.
  let reads = 0;
  const changing = {
    ...leaf({}),
    get eax() {
      return reads++ === 0 ? 5 : -1;
    },
  };
  assert.deepEqual(packCpuid('cpuid', [changing]), encodeCpuid2([leaf({ eax: 5 })]));
});

test('a list that is none is refused, by the place of what is wrong', () => {
  const { edx: _, ...lacking } = leaf({});
  const wrong: [unknown, RegExp][] = [
    [null, /^cpuid is null/],
    [[undefined], /^cpuid\[0\]/],
    [[leaf({}), leaf({ eax: -1 })], /^cpuid\[1\]\.eax/],
    [[leaf({ eax: 2 ** 32 })], /^cpuid\[0\]\.eax/],
    [[leaf({ eax: 1.5 })], /^cpuid\[0\]\.eax/],
    [[leaf({ eax: '1' as unknown as number })], /^cpuid\[0\]\.eax/],
    [[lacking], /^cpuid\[0\]\.edx/],
    [[{ ...leaf({}), eflags: 1 }], /cpuid\[0\]\.eflags/],
    [[{ ...leaf({}), [Symbol('s')]: 1 }], /cpuid\[0\]/],
    [Array.from({ length: 257 }, () => leaf({})), /^cpuid has 257 elements/],
  ];
  for (const [cpuid, message] of wrong)
    assert.throws(() => packCpuid('cpuid', cpuid as Cpuid), { name: 'ArgumentError', message });
});

test('DR7 of hardware breakpoints', () => {
  // Intel SDM volume 3, "Debug Registers": G0 bit 1, R/W0 bits 17:16, LEN0 bits 19:18; four bits on for each register.
  const { control, debugreg } = debugArgument({
    hardware: [
      { address: 0x1000 },
      { address: 0x2000, on: 'write', length: 4 },
      { address: 0x3000n, on: 'access', length: 8 },
      { address: 0x4001, on: 'write' },
    ],
  });
  assert.equal(control, 0x0002_0001);
  assert.deepEqual(debugreg?.slice(0, 4), [0x1000n, 0x2000n, 0x3000n, 0x4001n]);
  assert.equal(debugreg?.[7], 0x1bd0_04aan);
  assert.equal(debugArgument({}).control, 0);
  assert.equal(debugArgument({ singleStep: true, software: true, blockIrq: true }).control, 0x0011_0003);
});

test('breakpoints that are none', () => {
  for (const hardware of [
    new Array(5).fill({ address: 0 }),
    [{ address: 1, on: 'write', length: 2 }],
    [{ address: 0, on: 'read' }],
    [{ address: 0, length: 4 }],
    [{ address: 0, on: 'write', length: 3 }],
    [{ address: -1 }],
  ] as never[])
    assert.throws(() => debugArgument({ hardware }), ArgumentError);
});

test('the ring wraps, and is empty afterwards', () => {
  const mapping = new DataView(new ArrayBuffer(3 * 4096));
  const ring = 2 * 4096;
  for (const [index, value] of [
    [168, 1],
    [169, 2],
    [0, 3],
  ] as const)
    kvmCoalescedMmio.write(
      mapping,
      { physAddr: BigInt(index), len: 1, pio: 1, data: Uint8Array.of(value) },
      ring + 8 + index * 24,
    );
  mapping.setUint32(ring, 168, true);
  mapping.setUint32(ring + 4, 1, true);
  assert.deepEqual(
    drainCoalescedRing(mapping).map(({ physAddr, pio, data }) => [physAddr, pio, [...data]]),
    [
      [168n, true, [1]],
      [169n, true, [2]],
      [0n, true, [3]],
    ],
  );
  assert.deepEqual([mapping.getUint32(ring, true), mapping.getUint32(ring + 4, true)], [1, 1]);
  assert.deepEqual(drainCoalescedRing(mapping), []);
  assert.deepEqual(drainCoalescedRing(new DataView(new ArrayBuffer(4096))), [], 'a mapping without a ring');
});

test('statistics: names, units, histograms, types that are not known', () => {
  const nameSize = 16;
  const stride = kvmStatsDesc.size + nameSize;
  const file = new Uint8Array(1024);
  const view = new DataView(file.buffer);
  const dataOffset = 512;
  kvmStatsHeader.write(view, { nameSize, numDesc: 3, descOffset: 64, dataOffset });
  const add = (at: number, name: string, flags: number, exponent: number, size: number, offset: number) => {
    kvmStatsDesc.write(view, { flags, exponent, size, offset, bucketSize: 0 }, 64 + at * stride);
    file.set(new TextEncoder().encode(name), 64 + at * stride + kvmStatsDesc.size);
  };
  add(0, 'exits', 0x000, 0, 1, 0);
  add(1, 'wait_hist', 0x024, -9, 3, 8);
  add(2, 'from_the_future', 0x1ff, 3, 1, 32);
  [5n, 1n, 2n, 3n, 9n].forEach((value, index) => {
    view.setBigUint64(dataOffset + index * 8, value, true);
  });
  const stats = decodeStats((offset, size) => file.subarray(offset, offset + size));
  assert.deepEqual(stats.get('exits')?.values, [5n]);
  const { type, unit, scale, values } = stats.get('wait_hist')!;
  assert.deepEqual([type, unit, scale, values], ['logHist', 'seconds', 1e-9, [1n, 2n, 3n]]);
  const future = stats.get('from_the_future')!;
  assert.deepEqual([future.type, future.unit, future.scale, future.values], [null, null, 8, [9n]]);
});
