import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeSynicPage, encodeSynicPage } from '../../../lib/abi/hyperv.ts';
import {
  asm,
  decodeMessage,
  decodeSint,
  disableSynic,
  disassemble,
  enableSynic,
  encodeMessage,
  encodeSint,
  endOfMessage,
  freeMessage,
  hypervCpuid,
  hypervMsrs,
  type KvmCpuidEntry2,
  messageSlot,
  readMsr,
  type Snippet,
  setSint,
  takeEventFlag,
  UnsupportedError,
  writeMsr,
  writeSynic,
} from '../../../lib/index.ts';
import { errorOf } from '../../support/host.ts';

async function lines(piece: Snippet, mode: 'flat32' | 'long64' = 'long64'): Promise<string[]> {
  const { bytes } = asm[mode]`${piece}`;
  return (await disassemble(bytes, { mode, origin: 0 })).map(({ text }) => text.replaceAll(', ', ','));
}

/** The MSRs that a snippet writes, and the values. */
async function msrs(piece: Snippet): Promise<[number, bigint][]> {
  const writes: [number, bigint][] = [];
  const registers: Record<string, bigint> = {};
  for (const line of await lines(piece)) {
    const [, register, value] = /^mov (\w+),(\S+)$/.exec(line) ?? [];
    if (register) registers[register] = BigInt(value!);
    else {
      assert.equal(line, 'wrmsr');
      writes.push([Number(registers.ecx), (registers.edx! << 32n) | registers.eax!]);
    }
  }
  return writes;
}

test('a message: 256 bytes, and back', () => {
  const bytes = encodeMessage({ type: 0x8000_0010, sender: 0x1122_3344_5566_7788n, payload: Uint8Array.of(9, 8, 7) });
  assert.equal(bytes.length, 256);
  assert.equal(
    Buffer.from(bytes.subarray(0, 20)).toString('hex'),
    '10000080' + '03' + '00' + '0000' + '8877665544332211' + '09080700',
  );
  bytes[5] = 1;
  const payload = Uint8Array.of(9, 8, 7);
  const read = { type: 0x8000_0010, sender: 0x1122_3344_5566_7788n, payload, pending: true };
  assert.deepEqual(decodeMessage(bytes), read);
  bytes[4] = 255;
  assert.equal(decodeMessage(bytes)?.payload.length, 240, 'a size that no message has');
  bytes.fill(0, 0, 4);
  assert.equal(decodeMessage(bytes), null);
  for (const wrong of [{ type: 0 }, { type: 1, sender: -1n }, { type: 1, payload: new Uint8Array(241) }, null])
    assert.equal(errorOf(() => encodeMessage(wrong as never)).code, 'ERR_ARGUMENT');
});

test('SINTs: each one comes back', () => {
  const sint = fc.record({ vector: fc.integer({ min: 0, max: 255 }), masked: fc.boolean(), autoEoi: fc.boolean() });
  fc.assert(fc.property(sint, (one) => assert.deepEqual(decodeSint(encodeSint(one)), { ...one })));
  assert.equal(encodeSint({ vector: 0x52 }), 0x52n);
  assert.equal(encodeSint({ vector: 0, masked: true }), 0x1_0000n);
  assert.equal(encodeSint({ vector: 0xff, autoEoi: true }), 0x2_00ffn);
  assert.equal(errorOf(() => encodeSint({ vector: 256 })).code, 'ERR_ARGUMENT');
});

test('SIMP and SIEFP: a page and bit 0', () => {
  assert.deepEqual([encodeSynicPage(0x5000), encodeSynicPage(0), encodeSynicPage(null)], [0x5001n, 1n, 0n]);
  assert.deepEqual(
    [decodeSynicPage(0x5001n), decodeSynicPage(0x5fffn), decodeSynicPage(0x5ffen)],
    [0x5000n, 0x5000n, null],
  );
  assert.equal(errorOf(() => encodeSynicPage(0x5004)).code, 'ERR_ARGUMENT');
});

test('snippets write the MSRs that they name', async () => {
  const { SCONTROL, SIEFP, SIMP, EOM, SINT0 } = hypervMsrs;
  assert.deepEqual(await msrs(enableSynic({ messages: 0x5000, events: null })), [
    [SIMP, 0x5001n],
    [SIEFP, 0n],
    [SCONTROL, 1n],
  ]);
  assert.deepEqual(await msrs(enableSynic()), [[SCONTROL, 1n]]);
  assert.deepEqual(await msrs(disableSynic()), [[SCONTROL, 0n]]);
  assert.deepEqual(await msrs(setSint(15, { vector: 0x41, autoEoi: true })), [[SINT0 + 15, 0x2_0041n]]);
  assert.deepEqual(await msrs(writeSynic(3, 0x1_0000)), [[SINT0 + 3, 0x1_0000n]]);
  assert.deepEqual(await msrs(endOfMessage()), [[EOM, 0n]]);
  assert.deepEqual(await msrs(writeMsr(0xc000_0080, 0x1234_5678_9abc_def0n)), [[0xc000_0080, 0x1234_5678_9abc_def0n]]);
  assert.deepEqual((await lines(readMsr(0x1b))).slice(-1), ['rdmsr']);
  for (const wrong of [
    () => setSint(16, { vector: 0x41 }),
    () => writeSynic('SVERSION' as never, 0),
    () => enableSynic({ messages: 0x5001 }),
    () => freeMessage(0x5010),
    () => takeEventFlag(0x5000, 0, 2048),
    () => messageSlot(0x5000, -1),
  ])
    assert.equal(errorOf(wrong).code, 'ERR_ARGUMENT');
});

test('a slot is freed before its pending flag is read, in both modes', async () => {
  for (const mode of ['flat32', 'long64'] as const) {
    const text = (await lines(freeMessage(messageSlot(0x5000, 2)), mode)).map((line) => line.replace(/ .*/, ''));
    assert.deepEqual(text, ['mov', 'lock', 'test', 'je', 'mov', 'mov', 'mov', 'wrmsr'], mode);
  }
  const [free, , pending] = await lines(freeMessage(messageSlot(0x5000, 2)), 'flat32');
  assert.match(free!, /\[(dword )?0x5200\]/);
  assert.match(pending!, /\[(dword )?0x5205\],.*1$/);
  const [flag] = await lines(takeEventFlag(0x6000, 1, 33), 'flat32');
  assert.match(flag!, /^lock btr dword \[(dword )?0x6104\],.*1$/);
});

test("Hyper-V's leaves stand first, KVM's own behind them", () => {
  const entry = (leaf: number, eax: number, index = 0): KvmCpuidEntry2 =>
    ({ function: leaf, index, flags: 0, eax, ebx: 0, ecx: 0, edx: 0 }) as KvmCpuidEntry2;
  const own = [entry(1, 5), entry(0x4000_0000, 0x4000_0001), entry(0x4000_0001, 0xff), entry(0x8000_0000, 7)];
  const hyperv = [entry(0x4000_0000, 0x4000_0082), entry(0x4000_0001, 0x3123_7648)];
  assert.deepEqual(
    hypervCpuid(own, hyperv).map((one) => [one.function, one.eax]),
    [
      [1, 5],
      [0x4000_0100, 0x4000_0101],
      [0x4000_0101, 0xff],
      [0x8000_0000, 7],
      [0x4000_0000, 0x4000_0082],
      [0x4000_0001, 0x3123_7648],
    ],
  );
  assert.equal(hypervCpuid([entry(0x4000_0000, 0)], [])[0]!.eax, 0x4000_0101);
});

test('an UnsupportedError names the Kconfig where there is one', () => {
  const error = new UnsupportedError('KVM_CAP_X', 'It', 'CONFIG_X');
  assert.deepEqual([error.missing, error.kconfig], ['KVM_CAP_X', 'CONFIG_X']);
  assert.match(error.message, /KVM_CAP_X.*CONFIG_X/);
  assert.match(error.advice, /CONFIG_X=y/);
  assert.equal(new UnsupportedError('KVM_CAP_X', 'It').kconfig, null);
});
