/** Who takes an IPI by KVM's map of ids, where the SDM leaves it open. Expected values are written by hand. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LapicRegisterName } from '../../../lib/abi/apic/lapic.ts';
import type { Operation } from '../../../lib/apic/model/operations.ts';
import { initialState, type ModelOptions, type ModelState, numberOf } from '../../../lib/apic/model/state.ts';
import { step } from '../../../lib/apic/model/step.ts';

const options: ModelOptions = { vendor: 'amd', forwards: true, hashing: true };

const write = (on: number, register: LapicRegisterName, value: number): Operation => ({
  do: 'write',
  on,
  register,
  value,
});
const x2apic = (on: number): Operation => ({ do: 'setBase', on, mode: 'x2apic' });
const off = (on: number) => write(on, 'SVR', 0xff);
const ldr = (on: number, id: number) => write(on, 'LDR', id * 2 ** 24);

/** The state after them; each has one outcome. */
function after(operations: readonly Operation[], vcpus = 3): ModelState {
  return operations.reduce((state, operation) => {
    const outcome = step(options, state, operation);
    assert.equal(outcome.choices, 1, JSON.stringify(operation));
    return outcome.state;
  }, initialState(vcpus));
}

const { page } = initialState(1).processors[0]!;
const got = (state: ModelState, what: 'nmis' | LapicRegisterName) =>
  state.processors.flatMap((one, vcpu) => ((what === 'nmis' ? one.nmis : one.page[numberOf(what)]) ? [vcpu] : []));

/** By a message, whose destination is a logical id: an NMI, and vectors of lowest priority. */
const message = (destination: number, data: number): Operation => ({
  do: 'msi',
  addressLo: (0xfee0_0004 | (destination << 12)) >>> 0,
  data,
});
const NMI = 0x400;
const lowest = (vector: number) => 0x100 | vector;

describe('a logical id of a software-disabled APIC', () => {
  const flat = [ldr(0, 1), ldr(1, 2), ldr(2, 4)];

  test('names it not while the map of ids is used', () => {
    assert.deepEqual(got(after([...flat, off(1), message(7, NMI)]), 'nmis'), [0, 2]);
    assert.deepEqual(got(after([...flat, off(0), off(1), off(2), message(7, NMI)]), 'nmis'), []);
  });

  test('names it while two are in the way of each other', () => {
    for (const more of [ldr(2, 1), ldr(2, 5), write(2, 'DFR', 0x0fff_ffff), write(2, 'ID', 0)])
      assert.ok(got(after([...flat, off(1), more, message(2, NMI)]), 'nmis').includes(1), JSON.stringify(more));
  });

  test('names it in x2APIC mode, if not all of them are disabled', () => {
    const all = [0, 1, 2].map(x2apic);
    const disable = (on: number): Operation => ({ do: 'wrmsr', on, msr: 0x80f, low: 0xff, high: 0 });
    assert.deepEqual(got(after([...all, disable(1), message(6, NMI)]), 'nmis'), [1, 2]);
    assert.deepEqual(got(after([...all, ...[0, 1, 2].map(disable), message(6, NMI)]), 'nmis'), []);
  });
});

describe('lowest priority by the vector', () => {
  test('the vector counts the bits of a logical destination, and nobody may have that one', () => {
    const flat = [ldr(0, 1), ldr(1, 2), ldr(2, 4)];
    // 0x30 and 0x31 of the bits 0 and 3; 0x30 to 0x32 of three.
    assert.deepEqual(got(after([...flat, message(9, lowest(0x30))]), 'IRR1'), [0]);
    assert.deepEqual(got(after([...flat, message(9, lowest(0x31))]), 'IRR1'), []);
    for (const [vector, taker] of [
      [0x30, 0],
      [0x31, 1],
      [0x32, 2],
    ] as const)
      assert.deepEqual(got(after([...flat, message(7, lowest(vector))]), 'IRR1'), [taker]);
  });

  test('in the cluster model the four bits of the cluster', () => {
    const cluster = [0, 1, 2].map((on) => write(on, 'DFR', 0x0fff_ffff));
    const ids = [ldr(0, 0x11), ldr(1, 0x12), ldr(2, 0x21)];
    assert.deepEqual(got(after([...cluster, ...ids, message(0x13, lowest(0x31))]), 'IRR1'), [1]);
    assert.deepEqual(got(after([...cluster, ...ids, message(0x23, lowest(0x31))]), 'IRR1'), []);
  });

  test('where the map is off, the vector counts those that are there', () => {
    const two = [ldr(0, 1), ldr(1, 2), ldr(2, 2)];
    assert.deepEqual(got(after([...two, message(3, lowest(0x32))]), 'IRR1'), [2]);
  });
});

test("the x2APIC's id and logical id stay whatever user space gives back", () => {
  const ids: Operation[] = [
    { do: 'setLapic', on: 1, register: 'ID', value: 0x0700_0000 },
    { do: 'setLapic', on: 1, register: 'LDR', value: 0x0700_0000 },
  ];
  const state = after([x2apic(1), ...ids]);
  assert.deepEqual([state.processors[1]!.page[2], state.processors[1]!.page[0xd]], [1, 2]);
  assert.equal(page[numberOf('LDR')], 0);
  assert.equal(after(ids).processors[1]!.page[0xd], 0x0700_0000);
});
