/** Arguments of the wrong kind, as plain JavaScript may give them: what the fuzzer found, one by one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kvmRegs, kvmSregs, kvmXcrs } from '../../../lib/abi/kvm/index.ts';
import { milliseconds } from '../../../lib/base/duration.ts';
import {
  ArgumentError,
  decodeExit,
  decodeIcr,
  decodeLapic,
  describeExit,
  describeIcr,
  encodeIcr,
  encodeIcr2,
  enterFlat32,
  flat32,
  GuestMemory,
  hideX2apic,
  ioctlName,
  KvmDsmError,
  MemoryRangeError,
  mov32,
  readLapicRegister,
  showTscDeadline,
  Trace,
  writeLapicRegister,
} from '../../../lib/index.ts';
import { unpackSections } from '../../../lib/snapshot/container.ts';

// biome-ignore lint/suspicious/noExplicitAny: these are what the types refuse.
type Wrong = any;
const wrong = (value: unknown): Wrong => value;
const noText = Object.create(null) as Wrong;
const odd: readonly Wrong[] = [undefined, null, 5, 'x', 7n, Symbol('odd'), noText, () => 0, []];

function detached<T extends Uint8Array | DataView>(view: T): T {
  structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] });
  return view;
}

const calls: Record<string, (value: Wrong) => unknown> = {
  decodeExit,
  decodeLapic,
  describeExit,
  describeIcr,
  encodeIcr,
  encodeIcr2,
  showTscDeadline: (value) => showTscDeadline([typeof value === 'object' ? wrong(null) : value]),
  hideX2apic: (value) => hideX2apic([typeof value === 'object' ? wrong(null) : value]),
  enterFlat32: (value) => enterFlat32(value, wrong(value)),
  'flat32 of something else': (value) => flat32(value),
  'mov32 to no register': (value) => mov32(value, 0),
  'readLapicRegister of no register': (value) => readLapicRegister(new Uint8Array(1024), value),
  'writeLapicRegister of no register': (value) => writeLapicRegister(new Uint8Array(1024), value, 0),
  'trace.expect': (value) => new Trace().expect([value]),
  'trace.expect of no list': (value) => new Trace().expect(Array.isArray(value) ? wrong(5) : value),
  'a profile that is none': (value) =>
    value === undefined ? decodeExit(value) : decodeExit(new DataView(new ArrayBuffer(288)), value),
  'the layout of registers': (value) => kvmRegs.encode({ rip: typeof value === 'bigint' ? wrong(5) : (value ?? null) }),
  'a struct in a struct': (value) =>
    kvmSregs.encode({ cs: value === undefined || typeof value === 'object' ? null : value }),
  'a list in a struct': (value) => kvmXcrs.encode({ xcrs: Array.isArray(value) ? [wrong(null)] : (value ?? null) }),
  'a saved state': unpackSections,
};

describe('a value of the wrong kind is a typed error, never a TypeError of JavaScript', () => {
  for (const [name, call] of Object.entries(calls))
    test(name, () => {
      for (const value of odd)
        assert.throws(
          () => call(value),
          (error) => error instanceof KvmDsmError,
          `${name} of a ${typeof value}`,
        );
    });

  test('a duration of another type', () => {
    for (const value of odd) if (value !== 5) assert.throws(() => milliseconds(value), ArgumentError);
  });

  test('a number of another type', () => {
    for (const value of odd) if (typeof value !== 'number') assert.throws(() => decodeIcr(value), ArgumentError);
    for (const value of odd) if (typeof value !== 'number') assert.throws(() => ioctlName(value), ArgumentError);
  });
});

describe('guest memory', () => {
  test('an offset, a length and data that are none', () => {
    using memory = GuestMemory.allocate(4096);
    for (const value of odd) {
      if (value === 5) continue;
      assert.throws(() => memory.write(value, new Uint8Array(1)), MemoryRangeError);
      assert.throws(() => memory.read(value, 1), MemoryRangeError);
      assert.throws(() => memory.read(0, value), MemoryRangeError);
      assert.throws(() => memory.write(0, value), ArgumentError);
      assert.throws(() => GuestMemory.allocate(value), ArgumentError);
    }
    assert.throws(() => memory.read(0, 0.5), MemoryRangeError);
  });

  test('data that was transferred away is empty', () => {
    using memory = GuestMemory.allocate(4096);
    memory.write(0, detached(new Uint8Array(8)));
    assert.deepEqual(flat32(detached(new Uint8Array(8)), Uint8Array.of(0x90)).bytes, Uint8Array.of(0x90));
  });
});

test('the kvm_run of a vCPU that was closed is no exit: an ArgumentError', () => {
  assert.throws(() => decodeExit(detached(new DataView(new ArrayBuffer(4096)))), ArgumentError);
});

test('an instruction for a register that does not exist is not another instruction', () => {
  assert.throws(() => mov32(wrong('rax'), 1), ArgumentError);
});

test('text where encoded instructions belong is told of what takes text', () => {
  const tag = flat32 as unknown as (parts: TemplateStringsArray) => unknown;
  const toAsm = { code: 'ERR_ARGUMENT', advice: /asm\.flat32/ };
  assert.throws(() => tag`hlt`, toAsm);
  assert.throws(() => flat32(wrong('hlt')), {
    code: 'ERR_ARGUMENT',
    message: 'instructions "hlt" is not a Uint8Array',
  });
});
