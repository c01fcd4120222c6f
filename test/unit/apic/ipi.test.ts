/** IPIs from exits, from messages, from an ICR; and in words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeIcr, decodeIcr2, decodeX2Icr } from '../../../lib/abi/apic/icr.ts';
import { describeDestination, describeIpi, describeSender } from '../../../lib/apic/describe.ts';
import { type Ipi, IpiReader, ipiHeld, ipiOf, ipiOfMsi } from '../../../lib/apic/ipi.ts';
import type { DsmPvIpiExit } from '../../../lib/exit/dsm.ts';
import type { Exit } from '../../../lib/exit/exit.ts';

const xapicWrite = (val2: number, destId: number | null): Exit => ({
  name: 'KVM_EXIT_DSM_SEND_IRQ',
  reason: 45,
  id: 3,
  val: 0x300,
  val2,
  destId,
  register: 'ICR',
  icr: decodeIcr(val2),
});
const x2apicWrite = (data: bigint): Exit => ({
  name: 'KVM_EXIT_DSM_X2_ICR',
  reason: 46,
  id: 1,
  data,
  icr: decodeX2Icr(data),
});

const brief = (ipi: Ipi | undefined) =>
  ipi && [
    ipi.from,
    ipi.mode,
    ipi.destination,
    ipi.command.vector,
    ipi.command.deliveryMode,
    ipi.command.destinationMode,
    ipi.command.shorthand,
    ipi.seq,
  ];

test('of a forwarded ICR write', () => {
  assert.deepEqual(brief(ipiOf(xapicWrite(0x48f0, 6), 17)), [3, 'xapic', 6, 0xf0, 'fixed', 'logical', 'none', 17]);
  const x2 = brief(ipiOf(x2apicWrite(0x0000_0123_000c_4400n)));
  assert.deepEqual(x2, [1, 'x2apic', 0x123, 0, 'nmi', 'physical', 'allExcludingSelf', null]);
});

test('no other exit sends one: not a write of ICR2, nor one of another register', () => {
  const write = { name: 'KVM_EXIT_DSM_SEND_IRQ', reason: 45, id: 0, val2: 0, destId: 0 } as const;
  assert.equal(ipiOf({ ...write, val: 0x310, register: 'ICR2', icr2: decodeIcr2(0) }), undefined);
  assert.equal(ipiOf({ ...write, val: 0x80, register: null }), undefined);
  const base = { name: 'KVM_EXIT_DSM_APIC_BASE', reason: 47, id: 0, host: false, index: 0x1b, data: 0n } as const;
  assert.equal(ipiOf(base), undefined);
  assert.equal(ipiOf({ name: 'KVM_EXIT_HLT', reason: 5 }), undefined);
});

test('of an exit that does not tell its destination: what the same vCPU wrote to ICR2 last', () => {
  const reader = new IpiReader();
  const icr2 = (id: number, val2: number): Exit => ({
    ...{ name: 'KVM_EXIT_DSM_SEND_IRQ', reason: 41, id, val: 0x310, val2, destId: null },
    ...{ register: 'ICR2', icr2: decodeIcr2(val2) },
  });
  assert.equal(reader.read(xapicWrite(0x40f0, null))?.destination, 0, 'as after reset');
  assert.equal(reader.read(icr2(3, 0x0500_0000)), undefined);
  assert.equal(reader.read(icr2(1, 0x0900_0000)), undefined);
  assert.equal(reader.read(xapicWrite(0x40f0, null))?.destination, 5);
  assert.equal(reader.read(xapicWrite(0x40f0, 6))?.destination, 6);
  assert.equal(reader.read(x2apicWrite(0x0000_0123_0000_4400n))?.destination, 0x123);
});

test('of a message', () => {
  const msi = (addressLo: number, data: number, addressHi?: number) =>
    brief(ipiOfMsi({ addressLo, data, ...(addressHi !== undefined && { addressHi }) }, 4));
  assert.deepEqual(msi(0xfee0_2000, 0x4041), ['host', 'xapic', 2, 0x41, 'fixed', 'physical', 'none', 4]);
  assert.deepEqual(msi(0xfeef_f004, 0x0051), ['host', 'xapic', 0xff, 0x51, 'fixed', 'logical', 'none', 4]);
  assert.deepEqual(msi(0xfee0_1000, 0x0400), ['host', 'xapic', 1, 0, 'nmi', 'physical', 'none', 4]);
  // The redirection hint: the one with the lowest priority of those that it names.
  assert.deepEqual(msi(0xfee0_300c, 0x0051), ['host', 'xapic', 3, 0x51, 'lowestPriority', 'logical', 'none', 4]);
  // The upper 24 bits of a 32-bit id are in the upper half of the address.
  assert.deepEqual(msi(0xfee0_c000, 0x41, 0x100), ['host', 'x2apic', 0x10c, 0x41, 'fixed', 'physical', 'none', 4]);
  // Bits 19:18 of the data are no shorthand.
  assert.deepEqual(msi(0xfee0_1000, 0xc_0041), ['host', 'xapic', 1, 0x41, 'fixed', 'physical', 'none', 4]);
});

test('what an ICR holds', () => {
  assert.equal(ipiHeld(2, { ICR: 0, ICR2: 0 }, 'xapic'), undefined);
  const held = (ICR: number, ICR2: number, mode: Ipi['mode']) => brief(ipiHeld(2, { ICR, ICR2 }, mode));
  assert.deepEqual(held(0x4061, 0x0500_0000, 'xapic'), [2, 'xapic', 5, 0x61, 'fixed', 'physical', 'none', null]);
  assert.deepEqual(held(0x4061, 0x0500_0000, 'x2apic'), [
    2,
    'x2apic',
    0x0500_0000,
    0x61,
    'fixed',
    'physical',
    'none',
    null,
  ]);
});

test('in words', () => {
  const words = (icr: number, destination = 1) => {
    const ipi: Ipi = { from: 0, command: decodeIcr(icr), destination, mode: 'xapic', seq: null };
    return `${describeIpi(ipi)} to ${describeDestination(ipi)}`;
  };
  assert.equal(words(0x40f0), 'vector 0xf0 to APIC id 1');
  assert.equal(words(0x48f0, 0x1f), 'vector 0xf0 to logical id 0x1f');
  assert.equal(words(0x400d), 'vector 0xd (#GP) to APIC id 1');
  assert.equal(words(0x4_4041), 'vector 0x41 to itself');
  assert.equal(words(0x8_4041), 'vector 0x41 to all including self');
  assert.equal(words(0xc_4500), 'INIT to all excluding self');
  assert.equal(words(0x461f), 'SIPI with vector 0x1f to APIC id 1');
  assert.deepEqual([words(0x4400), words(0x4200)], ['NMI to APIC id 1', 'SMI to APIC id 1']);
  assert.deepEqual([describeSender({ from: 2 }), describeSender({ from: 'host' })], ['vCPU 2', 'the host']);
});

test('of a write of SELF_IPI: a fixed one to itself, whatever stands above its vector', () => {
  const write = { name: 'KVM_EXIT_DSM_SEND_IRQ', reason: 45, id: 2, val: 0x3f0, destId: null } as const;
  const sent = brief(ipiOf({ ...write, val2: 0xffff_ff41, register: 'SELF_IPI' }, 4));
  assert.deepEqual(sent, [2, 'x2apic', 0, 0x41, 'fixed', 'physical', 'self', 4]);
});

const paravirtual = (target: DsmPvIpiExit['target'], icr: number, base: number, mask: bigint[]): DsmPvIpiExit => ({
  ...{ name: 'KVM_EXIT_DSM_PV_IPI', reason: 48, id: 1, data: icr, icr: decodeIcr(icr), type: 0 },
  ...{ target, base, mask },
});

test('of a paravirtual interface: by APIC ids, by VP indices, to all, by the ICR, and a kick', () => {
  const named = ipiOf(paravirtual('apicIds', 0x41, 3, [0b101n, 1n]), 9)!;
  assert.deepEqual(named.named, { by: 'apicId', ids: [3, 5, 67] });
  assert.deepEqual(brief(named), [1, 'xapic', 3, 0x41, 'fixed', 'physical', 'none', 9]);
  assert.deepEqual(ipiOf(paravirtual('vpIndices', 0x400, 0, [2n, 0n]))!.named, { by: 'vcpu', ids: [1] });
  const everyone = ipiOf(paravirtual('all', 0x41, 0, [0n, 0n]))!;
  assert.equal(everyone.named, undefined);
  assert.equal(everyone.command.shorthand, 'allIncludingSelf');
  // KVM gives it to each that is named: lowest priority means nothing there, and nor does a shorthand.
  const lowest = ipiOf(paravirtual('apicIds', 0x8_0141, 0, [1n, 0n]))!;
  assert.deepEqual([lowest.command.deliveryMode, lowest.command.shorthand], ['fixed', 'none']);
  const plain = ipiOf(paravirtual('icr', 0x8_0141, 6, [0n, 0n]))!;
  assert.deepEqual(brief(plain), [1, 'xapic', 6, 0x41, 'lowestPriority', 'physical', 'allIncludingSelf', null]);
  assert.equal(ipiOf(paravirtual('kick', 0, 6, [0n, 0n])), undefined);
  assert.equal(ipiOf(paravirtual(null, 0, 6, [0n, 0n])), undefined);
});

test('of writes that are replayed: an ICR goes where the ICR2 before it says, that of the same vCPU', () => {
  const reader = new IpiReader();
  const replay = (vcpuId: number, val: number, val2: number, seq = 0) =>
    brief(reader.replayed({ seq, ioctl: 'KVM_DSM_IPI', write: { vcpuId, val, val2 } }));
  assert.equal(replay(4, 0x310, 0x0700_0000), undefined);
  assert.equal(replay(4, 0x80, 0x20), undefined);
  assert.deepEqual(replay(4, 0x300, 0x4041, 8), [4, 'xapic', 7, 0x41, 'fixed', 'physical', 'none', 8]);
  assert.deepEqual(replay(5, 0x300, 0x4041), [5, 'xapic', 0, 0x41, 'fixed', 'physical', 'none', 0]);
  const x2 = reader.replayed({ seq: 3, ioctl: 'KVM_DSM_X2APIC', write: { vcpuId: 6, data: 0x0000_0009_0000_0052n } });
  assert.deepEqual(brief(x2), [6, 'x2apic', 9, 0x52, 'fixed', 'physical', 'none', 3]);
});
