/** The parts of `kvm-dsm kut` that need no KVM. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ArgumentError } from '../../../lib/base/errors.ts';
import { PortBus } from '../../../lib/kut/devices/bus.ts';
import { FwCfg } from '../../../lib/kut/devices/fw-cfg.ts';
import { Serial } from '../../../lib/kut/devices/serial.ts';
import { attachTestDevice, TEST_MEMORY, TestMemory } from '../../../lib/kut/devices/test-device.ts';
import { readImage } from '../../../lib/kut/image.ts';
import { multibootInformation } from '../../../lib/kut/multiboot.ts';
import { resultIn, verdictOf } from '../../../lib/kut/results.ts';

/** An ELF file with one segment at 0x400000 that begins with a multiboot header. */
function elf(change: (file: Buffer) => void = () => {}): Buffer {
  const file = Buffer.alloc(0x100);
  file.write('\x7fELF\x01\x01\x01', 'latin1');
  file.writeUInt16LE(3, 18);
  for (const [at, value] of [
    [24, 0x40_000c],
    [28, 52],
  ] as const)
    file.writeUInt32LE(value, at);
  file.writeUInt16LE(32, 42);
  file.writeUInt16LE(1, 44);
  const header = [1, 0x80, 0x40_0000, 0x40_0000, 0x80, 0x1000, 5, 0x1000];
  for (const [at, value] of header.entries()) file.writeUInt32LE(value, 52 + at * 4);
  for (const [at, value] of [0x1bad_b002, 0, 0xe452_4ffe].entries()) file.writeUInt32LE(value, 0x80 + at * 4);
  change(file);
  return file;
}

describe('an image', () => {
  test('its segments, its entry and its end', () => {
    const { entry, segments, end } = readImage('apic.flat', elf());
    assert.equal(entry, 0x40_000c);
    assert.deepEqual(
      segments.map(({ at, bytes, size }) => [at, bytes.length, size]),
      [[0x40_0000, 0x80, 0x1000]],
    );
    assert.equal(end, 0x40_1000);
  });

  for (const [what, change, message] of [
    ['no ELF file', (file: Buffer) => file.write('MZ', 0), /it is no ELF file/],
    ['another machine', (file: Buffer) => file.writeUInt16LE(183, 18), /e_machine 183/],
    ['no header', (file: Buffer) => file.writeUInt32LE(0, 0x80), /no multiboot header/],
    ['a wrong checksum', (file: Buffer) => file.writeUInt32LE(1, 0x88), /no multiboot header/],
    ['nothing to load', (file: Buffer) => file.writeUInt32LE(0, 52), /nothing to load/],
    ['more in the file than in memory', (file: Buffer) => file.writeUInt32LE(1, 52 + 20), /larger in the file/],
  ] as const)
    test(`refused: ${what}`, () => {
      const refused = (error: unknown) => error instanceof ArgumentError && message.test(error.message);
      assert.throws(() => readImage('apic.flat', elf(change)), refused);
    });
});

test('what the loader leaves: memory below and above, the command line, a module', () => {
  const pieces = new Map(
    multibootInformation('apic.flat x', 128 << 20, { at: 0x50_0000, size: 7 }).map(({ at, bytes }) => [
      at,
      Buffer.from(bytes),
    ]),
  );
  const [information] = pieces.values();
  const word = (at: number) => information!.readUInt32LE(at);
  assert.equal(word(0), 0x24f);
  assert.equal(pieces.get(word(16))!.toString(), 'apic.flat x\0');
  assert.equal(word(20), 1);
  assert.deepEqual(
    [0, 4].map((at) => pieces.get(word(24))!.readUInt32LE(at)),
    [0x50_0000, 0x50_0007],
  );
  const map = pieces.get(word(48))!;
  assert.equal(word(44), map.length);
  let usable = 0n;
  for (let at = 0; at < map.length; at += map.readUInt32LE(at) + 4)
    if (map.readUInt32LE(at + 20) === 1) usable += map.readBigUInt64LE(at + 12);
  assert.equal(usable, BigInt((127 << 20) + 0x9_fc00));
});

describe('devices', () => {
  test('COM1 gives lines, says that it is empty, and takes a divisor for what it is', () => {
    const lines: string[] = [];
    const serial = new Serial((line) => lines.push(line));
    serial.write(3, 0x83);
    serial.write(0, 0x41); // the divisor
    serial.write(3, 0x03);
    for (const byte of Buffer.from('größe\r\n\nend')) serial.write(0, byte);
    assert.equal(serial.read(5), 0x60);
    assert.equal(serial.isInLine, true);
    serial.flush();
    assert.deepEqual(lines, ['größe', '', 'end']);
  });

  test('fw_cfg gives an item byte by byte or at once, zeros behind its end, and nothing for others', () => {
    const device = new FwCfg({ cpus: 3, memory: 2 ** 32 + 5 });
    const read = (key: number, sizes: number[]) => {
      device.write(0, key);
      return sizes.map((size) => device.read(1, size));
    };
    assert.deepEqual(read(0x05, [1, 1, 1]), [3, 0, 0]);
    assert.deepEqual(read(0x03, [4, 4]), [5, 1]);
    assert.deepEqual(read(0x00, [4]), [0x554d_4551]);
    assert.deepEqual(read(0x19, [4]), [0]);
  });

  test('a port where nobody is gives all ones of its size', () => {
    const bus = new PortBus();
    assert.deepEqual(
      [1, 2, 4].map((size) => bus.read(0x70, size)),
      [0xff, 0xffff, 0xffff_ffff],
    );
    bus.write(0x70, 1, 1);
  });

  test('the test device: exit code, lines, the port that echoes, parts of it, and memory', () => {
    const seen: unknown[] = [];
    const bus = new PortBus();
    attachTestDevice(bus, {
      exit: (code) => seen.push(code),
      line: (...line) => seen.push(line),
      flush: () => seen.push('flush'),
    });
    bus.write(0x2000 + 14, 1, 1);
    bus.write(0xe4, 0x40_0000, 4);
    bus.write(0xf4, 3, 4);
    assert.deepEqual(seen, [[14, true], 'flush', 3]);
    bus.write(0xe0, 0x1234_5678, 4);
    bus.write(0xe2, 0xabcd, 2);
    assert.deepEqual([bus.read(0xe0, 4), bus.read(0xe1, 1), bus.read(0xe2, 2)], [0xabcd_5678, 0x56, 0xabcd]);
    const memory = new TestMemory();
    memory.at(BigInt(TEST_MEMORY) + 2n, 4)!.writeUInt32LE(7);
    assert.equal(memory.at(BigInt(TEST_MEMORY) + 2n, 4)!.readUInt32LE(), 7);
    assert.equal(memory.at(BigInt(TEST_MEMORY) + 0xfffdn, 4), null);
    assert.equal(memory.at(BigInt(TEST_MEMORY) - 1n, 1), null);
  });
});

test('lines of lib/report.c are results, and the exit code decides', () => {
  assert.deepEqual(resultIn('PASS: x2apic: self ipi'), { name: 'x2apic: self ipi', verdict: 'pass' });
  assert.deepEqual(
    ['FAIL: a', 'SKIP: b', 'XFAIL: c', 'XPASS: d', 'KFAIL: e', 'INFO: f', 'SUMMARY: 3 tests', 'PASS', 'pass: g'].map(
      (line) => resultIn(line)?.verdict,
    ),
    ['fail', 'skip', 'xfail', 'xpass', 'xfail', undefined, undefined, undefined, undefined],
  );
  // A skip is 77 as QEMU's exit code, of which the guest gives the upper seven bits.
  assert.deepEqual([0, 1, 38, 77, 127, null].map(verdictOf), ['pass', 'fail', 'skip', 'fail', 'fail', 'fail']);
});
