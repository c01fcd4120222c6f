/** Exits that are sent as the addon has stored them, and what the other process makes of them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type DsmProfile, defaultProfile, profiles } from '../../../lib/abi/dsm/profiles.ts';
import { exitReasons } from '../../../lib/abi/kvm/exit-reason.ts';
import { forwardsIpi } from '../../../lib/exit/dsm.ts';
import { guestPorts, numberOf } from '../../../lib/guest/protocol.ts';
import { RECORD_BYTES, RecordDecoder } from '../../../lib/kvm/vcpu/run/log-record.ts';
import { StoredReader, StoredWriter } from '../../../lib/runner/stored-events.ts';
import { eventToJson } from '../../../lib/trace/json.ts';
import { countStored, eventsIn, type StoredEvents } from '../../../lib/trace/record.ts';
import { describeEvent } from '../../../lib/trace/text.ts';

const FILLED = 0x8000_0000;
const MESSAGE = 0xff;
const PAYLOAD = 24;

interface Fields {
  ns: bigint;
  rip?: bigint;
  rcx?: number;
  reason?: number;
  vcpu: number;
  payload: Uint8Array;
  /** Bytes of data behind the payload of KVM_EXIT_IO. */
  data?: number;
}

/** A record as native/core/exit_log.h has it. */
function record({ ns, rip = 0n, rcx = 0, reason = 0, vcpu, payload, data = 0 }: Fields): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, ns, true);
  view.setBigUint64(8, rip, true);
  view.setUint32(16, rcx, true);
  view.setUint32(20, (FILLED | (data << 24) | (vcpu << 16) | reason) >>> 0, true);
  bytes.set(payload.subarray(0, RECORD_BYTES - PAYLOAD), PAYLOAD);
  return bytes;
}

/** An `out` of 4 bytes: direction, size, port, count, and where the data stands. */
function out(ns: bigint, port: number, value: number, rcx = 0): Uint8Array {
  const payload = new Uint8Array(20);
  const view = new DataView(payload.buffer);
  payload.set([1, 4]);
  view.setUint16(2, port, true);
  view.setUint32(4, 1, true);
  view.setUint32(16, value, true);
  return record({ ns, rip: 0x1000n, rcx, reason: exitReasons.KVM_EXIT_IO, vcpu: 3, payload, data: 4 });
}

function stored(records: readonly Uint8Array[], profile: DsmProfile = defaultProfile): StoredEvents {
  return {
    seq: 7,
    count: records.length,
    born: 1000,
    profile,
    bytes: Uint8Array.from(records.flatMap((one) => [...one])),
  };
}

const message = record({
  ns: 4000n,
  rcx: 1,
  vcpu: MESSAGE,
  payload: Uint8Array.of(0, 0x10, 0xe0, 0xfe, 0, 0, 0, 0, 0x41),
});
const sync = out(2000n, guestPorts.sync, numberOf('über the wire'));
const value = out(3000n, guestPorts.value, 42, numberOf('a value'));
const told = stored([sync, value, message, out(5000n, 0x10, 1)]);

describe('a batch', () => {
  const decoder = new RecordDecoder(defaultProfile);
  const here = [...eventsIn(told.bytes, decoder, told)];

  test('has what was stored: names of the script, messages, times', () => {
    const there = [...new StoredReader().read(new StoredWriter(true).write({ ...told, bytes: told.bytes.slice() }))];
    assert.deepEqual(there.map(eventToJson), here.map(eventToJson));
    assert.deepEqual(there.map(describeEvent), here.map(describeEvent));
    assert.match(describeEvent(there[0]!), /^#7 vCPU 3 rip 0x1000 {2}sync "über the wire"$/);
    assert.match(describeEvent(there[1]!), /value "a value" = 0x2a/);
    assert.match(describeEvent(there[2]!), /^#9 injection {2}KVM_SIGNAL_MSI address 0xfee01000, data 0x41$/);
    assert.deepEqual(
      there.map(({ ns }) => ns),
      [1000, 2000, 3000, 4000],
    );
  });

  test('has no times where nobody reads them, and the same words', () => {
    const there = [...new StoredReader().read(new StoredWriter(false).write({ ...told, bytes: told.bytes.slice() }))];
    assert.deepEqual(there.map(describeEvent), here.map(describeEvent));
  });

  test('says on which node each was, of a machine with several', () => {
    const homes = [0, 0, 1, 1];
    const batch = { ...stored([out(1n, 0x10, 1), message]), homes };
    const there = [...new StoredReader().read(new StoredWriter(true).write(batch))];
    assert.deepEqual(
      there.map(({ node }) => node),
      [1, undefined],
    );
    assert.deepEqual(
      here.map(({ node }) => node),
      here.map(() => undefined),
    );
  });

  test('names that came with an earlier one are still known', () => {
    const [writer, reader] = [new StoredWriter(true), new StoredReader()];
    const first = [...reader.read(writer.write(stored([sync])))];
    const late = numberOf('a late one');
    const second = [...reader.read(writer.write(stored([sync, out(1n, guestPorts.sync, late)])))];
    assert.deepEqual(
      [...first, ...second].map(describeEvent).map((text) => /sync (.*)/.exec(text)![1]),
      ['"über the wire"', '"über the wire"', '"a late one"'],
    );
  });

  test('one that was changed on its way is none', () => {
    const line = new StoredWriter(true).write(stored([sync]));
    assert.deepEqual([...new StoredReader().read(`!${line.slice(20)}`)], []);
    assert.deepEqual([...new StoredReader().read('')], []);
  });
});

test('what is counted without decoding is what decoded exits say, in every profile', () => {
  const reasons = fc.oneof(fc.integer({ min: 40, max: 60 }), fc.constantFrom(exitReasons.KVM_EXIT_MMIO));
  const registers = fc.constantFrom(0x300, 0x310, 0x3f0, 0xb0);
  for (const profile of profiles.values()) {
    const decoder = new RecordDecoder(profile);
    fc.assert(
      fc.property(
        reasons,
        registers,
        fc.uint8Array({ minLength: 40, maxLength: 40 }),
        fc.nat(9),
        (reason, register, payload, at) => {
          new DataView(payload.buffer).setUint32(at * 4, register, true);
          const one = record({ ns: 1n, reason, vcpu: 0, payload });
          const exit = decoder.exitAt(new DataView(one.buffer), 0);
          const expected = { exits: 1, forwarded: forwardsIpi(exit) ? 1 : 0 };
          assert.deepEqual(countStored(stored([one], profile)), expected);
        },
      ),
    );
  }
});
