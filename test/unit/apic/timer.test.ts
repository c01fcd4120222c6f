/** The timer of the model, by the SDM's rules and by what KVM is known to do otherwise. Expected values are written by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LapicRegisterName } from '../../../lib/abi/apic/lapic.ts';
import type { Operation } from '../../../lib/apic/model/operations.ts';
import { initialState, type ModelOptions, type ModelState, numberOf } from '../../../lib/apic/model/state.ts';
import { type StepOutcome, step } from '../../../lib/apic/model/step.ts';
import { FAR, FAR_DEADLINE, IA32_TSC_DEADLINE, isCount } from '../../../lib/apic/model/timer.ts';
import { operationsOf } from '../../../lib/explore/steps.ts';

const options: ModelOptions = { vendor: 'amd', forwards: true, hashing: true, tscDeadline: true };
const VECTOR = 0x41;
const MASKED = 0x1_0000;
const PERIODIC = 0x2_0000;
const TSC_DEADLINE = 0x4_0000;

const write = (register: LapicRegisterName, value: number): Operation => ({ do: 'write', on: 0, register, value });
const leave: Operation = { do: 'cpuid', on: 0 };
const sti: Operation = { do: 'sti', on: 0 };
const restore: Operation = { do: 'restore', on: 0 };
const arm = (deadline: number): Operation => ({
  do: 'wrmsr',
  on: 0,
  msr: IA32_TSC_DEADLINE,
  low: deadline >>> 0,
  high: Math.floor(deadline / 2 ** 32),
});
const asked: Operation = { do: 'rdmsr', on: 0, msr: IA32_TSC_DEADLINE };

/** The last outcome of a state: KVM has not looked meanwhile, and TPR is as it was. */
const last = (state: ModelState, operation: Operation): StepOutcome => {
  const { choices } = step(options, state, operation);
  return step(options, state, operation, choices - 1);
};

function after(...operations: Operation[]): {
  state: ModelState;
  handled: number[];
  result: StepOutcome['seen']['result'];
} {
  let state = initialState(1);
  const handled: number[] = [];
  let result: StepOutcome['seen']['result'] = null;
  for (const operation of operations) {
    const outcome = last(state, operation);
    state = outcome.state;
    handled.push(...outcome.seen.handled);
    result = outcome.seen.result;
  }
  return { state, handled, result };
}

const one = ({ state }: { state: ModelState }) => state.processors[0]!;
const irr = (done: { state: ModelState }) => one(done).page[numberOf('IRR2')];

test('one that counts once sets IRR once, when KVM looks', () => {
  const begun = [write('LVT_TIMER', VECTOR), write('TMICT', 1)];
  assert.equal(irr(after(...begun)), 0);
  assert.equal(irr(after(...begun, leave)), 2);
  assert.deepEqual(after(...begun, leave, sti, leave).handled, [VECTOR]);
});

test('KVM may have looked before: both are outcomes', () => {
  const { state } = after(write('LVT_TIMER', VECTOR));
  const seen = [0, 1].map((choice) => irr(step(options, state, write('TMICT', 1), choice)));
  assert.deepEqual(seen.toSorted(), [0, 2]);
});

test('while its entry is masked, or the APIC disabled, it waits; without its APIC it is forgotten', () => {
  const masked = [write('LVT_TIMER', VECTOR | MASKED), write('TMICT', 1), leave];
  assert.equal(irr(after(...masked)), 0);
  assert.equal(irr(after(...masked, write('LVT_TIMER', VECTOR), leave)), 2);
  const off = [...masked, write('SVR', 0xff), write('SVR', 0x1ff), write('LVT_TIMER', VECTOR), leave];
  assert.equal(irr(after(...off)), 0);
});

test('its current count runs from the initial one, and stands at 0 otherwise', () => {
  for (const [operations, count, isRight] of [
    [[], 0, true],
    [[], 1, false],
    [[write('TMICT', FAR)], FAR - 5, true],
    [[write('TMICT', FAR)], 0, false],
    [[write('TMICT', FAR)], FAR + 1, false],
    [[write('LVT_TIMER', PERIODIC | VECTOR), write('TMICT', FAR)], FAR - 7, true],
    [[write('TDCR', 0xa), write('TMICT', FAR)], Math.floor(FAR / 64), false],
    [[write('TMICT', FAR), write('TMICT', 0)], 0, true],
    [[write('TMICT', FAR), restore], 0, false],
    [[write('TMICT', FAR), write('LVT_TIMER', PERIODIC)], 0, false],
    [[write('TMICT', FAR), write('LVT_TIMER', TSC_DEADLINE)], 0, true],
    [[write('LVT_TIMER', TSC_DEADLINE), arm(FAR_DEADLINE)], 0, true],
    [[write('TMICT', FAR), write('ICR', 0x4_4500)], 0, true],
  ] as const)
    assert.equal(isCount(one(after(...operations)), count), isRight, JSON.stringify(operations));
});

test('a change to TSC-deadline mode, or from it, stops it and clears the initial count', () => {
  const done = after(write('LVT_TIMER', VECTOR), write('TMICT', 1), write('LVT_TIMER', VECTOR | TSC_DEADLINE), leave);
  assert.deepEqual([irr(done), one(done).page[numberOf('TMICT')]], [0, 0]);
  const back = [write('LVT_TIMER', VECTOR | TSC_DEADLINE), arm(1), write('LVT_TIMER', VECTOR), leave];
  assert.equal(irr(after(...back)), 0);
});

test('in TSC-deadline mode the initial count is ignored, and the deadline is 0 after it has come', () => {
  const mode = write('LVT_TIMER', VECTOR | TSC_DEADLINE);
  assert.equal(one(after(mode, write('TMICT', 1))).page[numberOf('TMICT')], 0);
  assert.deepEqual(after(mode, arm(FAR_DEADLINE), asked).result, { low: 0, high: 2 ** 11 });
  const come = after(mode, arm(1), leave, asked);
  assert.deepEqual([irr(come), come.result], [2, { low: 0, high: 0 }]);
  assert.deepEqual(after(arm(FAR_DEADLINE), asked).result, { low: 0, high: 0 });
});

test('one that has expired does so again after a change of its divisor, or KVM_SET_LAPIC (`timer-again`)', () => {
  const over = [write('LVT_TIMER', VECTOR), write('TMICT', 1), leave, sti];
  for (const again of [write('TDCR', 3), restore])
    assert.deepEqual(after(...over, again, leave).handled, [VECTOR, VECTOR], again.do);
  assert.deepEqual(after(...over, write('TDCR', 0), leave).handled, [VECTOR]);
});

test('a guest that sleeps is woken by it if it has enabled its interrupts', () => {
  const hlt: Operation = { do: 'hlt', on: 0 };
  const wakes = (...before: Operation[]) =>
    operationsOf(after(...before, write('LVT_TIMER', VECTOR), write('TMICT', 1), leave, hlt, restore).state, leave, {
      cr8WhileWaiting: false,
    }).length;
  assert.deepEqual([wakes(), wakes(sti)], [0, 1]);
});

test('histories have no timer whose time would be seen', () => {
  const tried = (before: Operation[], value: Operation) =>
    operationsOf(after(...before).state, value, { cr8WhileWaiting: false }).length;
  assert.equal(tried([], write('TMICT', 1000)), 0);
  assert.equal(tried([write('LVT_TIMER', PERIODIC)], write('TMICT', 1)), 0);
  assert.equal(tried([write('TMICT', 1)], write('LVT_TIMER', PERIODIC)), 0);
  assert.equal(tried([write('TMICT', FAR)], write('LVT_TIMER', PERIODIC)), 1);
  assert.equal(tried([], write('LVT_TIMER', 0x10)), 0);
  assert.equal(tried([], arm(12_345)), 0);
});
