/** The model of the local APIC by the SDM's rules. Expected values are written by hand. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { LapicRegisterName } from '../../../lib/abi/apic/lapic.ts';
import { deviations } from '../../../lib/apic/model/deviations.ts';
import type { Operation, StepSeen } from '../../../lib/apic/model/operations.ts';
import { pprOf } from '../../../lib/apic/model/priority.ts';
import { rules } from '../../../lib/apic/model/rules.ts';
import {
  apicBaseIn,
  initialState,
  type ModelOptions,
  type ModelState,
  numberOf,
} from '../../../lib/apic/model/state.ts';
import { type StepOutcome, step } from '../../../lib/apic/model/step.ts';

const amd: ModelOptions = { vendor: 'amd', forwards: true, hashing: false };
const intel: ModelOptions = { vendor: 'intel', forwards: true, hashing: false };

const write = (on: number, register: LapicRegisterName, value: number): Operation => ({
  do: 'write',
  on,
  register,
  value,
});
const wrmsr = (on: number, msr: number, low: number, high = 0): Operation => ({ do: 'wrmsr', on, msr, low, high });
const base = (on: number, mode: Parameters<typeof apicBaseIn>[0]) => wrmsr(on, 0x1b, apicBaseIn(mode, on));

/** All of them, one after the other. */
function after(operations: readonly Operation[], vcpus = 2, options = amd): { state: ModelState; seen: StepSeen[] } {
  const seen: StepSeen[] = [];
  let state = initialState(vcpus);
  for (const operation of operations) {
    const outcome = step(options, state, operation);
    state = outcome.state;
    seen.push(outcome.seen);
  }
  return { state, seen };
}

const register = ({ state }: { state: ModelState }, vcpu: number, name: LapicRegisterName) =>
  state.processors[vcpu]!.page[numberOf(name)];

/** Every outcome that there may be: one that is chosen may have further ones. */
function outcomes(state: ModelState, operation: Operation, options = amd): StepOutcome[] {
  const all: StepOutcome[] = [];
  for (let choice = 0, most = 1; choice < most; choice++) {
    const outcome = step(options, state, operation, choice);
    most = Math.max(most, outcome.choices);
    all.push(outcome);
  }
  return all;
}

const pending = ({ state }: { state: ModelState }, name: LapicRegisterName) =>
  state.processors.flatMap(({ page }, vcpu) => (page[numberOf(name)] === 0 ? [] : [vcpu]));

describe('who takes an IPI', () => {
  test('a fixed one goes to the APIC id in ICR2, and makes two exits', () => {
    const done = after([write(0, 'ICR2', 0x0100_0000), write(0, 'ICR', 0x41)]);
    assert.equal(register(done, 1, 'IRR2'), 2);
    assert.equal(register(done, 0, 'IRR2'), 0);
    assert.deepEqual(
      done.seen.flatMap(({ exits }) => exits),
      [
        { id: 0, val: 0x310, val2: 0x0100_0000, destId: 1 },
        { id: 0, val: 0x300, val2: 0x41, destId: 1 },
      ],
    );
  });

  test('nobody who is software-disabled takes a fixed one; an NMI comes all the same', () => {
    const off = write(1, 'SVR', 0xff);
    assert.equal(register(after([off, write(0, 'ICR', 0xc_0041)]), 1, 'IRR2'), 0);
    assert.equal(after([off, write(0, 'ICR', 0xc_0441)]).state.processors[1]!.nmis, 1);
  });

  for (const [name, icr, to] of [
    ['self', 0x4_0041, [0]],
    ['all including self', 0x8_0041, [0, 1, 2]],
    ['all excluding self', 0xc_0041, [1, 2]],
    ['physical broadcast', 0x41, [0, 1, 2]],
  ] as const)
    test(`${name} reaches ${to.join(', ')}`, () => {
      assert.deepEqual(pending(after([write(0, 'ICR2', 0xff00_0000), write(0, 'ICR', icr)], 3), 'IRR2'), to);
    });

  test('flat: the bits in common; cluster: the same cluster, and bits in common', () => {
    const ldrs = [write(0, 'LDR', 0x0100_0000), write(1, 'LDR', 0x0200_0000), write(2, 'LDR', 0x1200_0000)];
    const send = (to: number) => [write(0, 'ICR2', to * 2 ** 24), write(0, 'ICR', 0x841)];
    assert.deepEqual(pending(after([...ldrs, ...send(0x03)], 3), 'IRR2'), [0, 1, 2]);
    assert.deepEqual(pending(after([...ldrs, ...send(0x10)], 3), 'IRR2'), [2]);
    const cluster = [0, 1, 2].map((on) => write(on, 'DFR', 0x0fff_ffff));
    assert.deepEqual(pending(after([...ldrs, ...cluster, ...send(0x03)], 3), 'IRR2'), [0, 1]);
    assert.deepEqual(pending(after([...ldrs, ...cluster, ...send(0x12)], 3), 'IRR2'), [2]);
  });

  test('lowest priority: one of those named, each is an outcome, and two never take it', () => {
    const { state } = after([
      write(0, 'LDR', 0x0100_0000),
      write(1, 'LDR', 0x0200_0000),
      write(0, 'ICR2', 0x0300_0000),
    ]);
    const takers = outcomes(state, write(0, 'ICR', 0x941)).map((outcome) => pending(outcome, 'IRR2'));
    assert.deepEqual(takers, [[0], [1], []]); // the last is the deviation `lowest-priority-absent`
  });

  test('each IPI is taken by those who are named and by nobody else', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 0, max: 0xfe }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(ids, fc.integer({ min: 0, max: 0xfe }), fc.integer({ min: 0x20, max: 0xff }), (own, to, vector) => {
        const named = own.map((id, on) => write(on, 'ID', id * 2 ** 24));
        const done = after([...named, write(0, 'ICR2', to * 2 ** 24), write(0, 'ICR', vector)], 3);
        const irr = `IRR${vector >> 5}` as LapicRegisterName;
        assert.deepEqual(
          pending(done, irr),
          own.flatMap((id, vcpu) => (id === to ? [vcpu] : [])),
        );
      }),
    );
  });

  test('a level-triggered one sets TMR, an edge-triggered one clears it', () => {
    const level = [write(0, 'ICR', 0x4_c041)];
    assert.equal(register(after(level), 0, 'TMR2'), 2);
    assert.equal(register(after([...level, write(0, 'ICR', 0x4_0041)]), 0, 'TMR2'), 0);
    assert.equal(register(after([write(0, 'ICR', 0x4_8041)]), 0, 'IRR2'), 0); // de-asserted
  });
});

describe('what registers hold', () => {
  const holds = (name: LapicRegisterName, value: number) => register(after([write(0, name, value)]), 0, name);

  test('their own bits', () => {
    assert.equal(holds('ID', 0x1234_5678), 0x1200_0000);
    assert.equal(holds('LDR', 0x1234_5678), 0x1200_0000);
    assert.equal(holds('DFR', 0), 0x0fff_ffff);
    assert.equal(holds('ICR2', 0x1234_5678), 0x1200_0000);
    assert.equal(holds('TDCR', 0xffff_ffff), 0xb);
    assert.equal(holds('SVR', 0xffff_ffff), 0x3ff);
    assert.equal(holds('LVT_LINT1', 0xffff_ffff), 0x1_f7ff);
    assert.equal(holds('LVT_ERROR', 0xffff_ffff), 0x1_10ff);
    assert.equal(holds('LVT_TIMER', 0xffff_ffff), 0x3_10ff);
    for (const name of ['VERSION', 'PPR', 'IRR1', 'ISR1', 'TMR1', 'TMCCT', 'ESR'] as const)
      assert.equal(holds(name, 0xffff_ffff), register({ state: initialState(1) }, 0, name), name);
  });

  test('ICR is kept without its delivery status', () => {
    assert.equal(holds('ICR', 0x4_1041), 0x4_0041);
  });

  test('software-disabled, every LVT entry is masked and stays so', () => {
    const done = after([write(0, 'LVT_ERROR', 0x33), write(0, 'SVR', 0xff), write(0, 'LVT_PMC', 0x34)]);
    assert.equal(register(done, 0, 'LVT_ERROR'), 0x1_0033);
    assert.equal(register(done, 0, 'LVT_PMC'), 0x1_0034);
  });

  test('an APIC that is disabled by IA32_APIC_BASE takes nothing', () => {
    const done = after([base(1, 'disabled'), write(0, 'ICR', 0xc_0041), write(0, 'ICR', 0xc_0441)]);
    assert.equal(register(done, 1, 'IRR2'), 0);
    assert.equal(done.state.processors[1]!.nmis, 0);
  });
});

describe('priorities', () => {
  test('PPR is the higher of TPR and what is in service, by class', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: -1, max: 0xff }), (tpr, isr) => {
        const ppr = pprOf(tpr, isr);
        assert.equal(ppr >> 4, Math.max(tpr >> 4, Math.max(isr, 0) >> 4));
        assert.equal(ppr & 0xf, tpr >> 4 >= Math.max(isr, 0) >> 4 ? tpr & 0xf : 0);
      }),
    );
  });

  test('the highest comes first; what is in the class of TPR waits', () => {
    const self = (vector: number) => write(0, 'ICR', 0x4_0000 + vector);
    const done = after([self(0x31), self(0x52), self(0x41), write(0, 'TPR', 0x30), { do: 'sti', on: 0 }]);
    assert.deepEqual(done.seen.at(-1)!.handled, [0x52, 0x41]);
    assert.equal(register(done, 0, 'IRR1'), 0x2_0000);
  });

  test('without EOI a lower one waits, and EOI lets it come', () => {
    const done = after([
      { do: 'handlers', on: 0, eoi: false },
      write(0, 'ICR', 0x4_0051),
      write(0, 'ICR', 0x4_0031),
      { do: 'sti', on: 0 },
      write(0, 'EOI', 0),
    ]);
    assert.deepEqual(
      done.seen.map(({ handled }) => handled),
      [[], [], [], [0x51], [0x31]],
    );
    assert.equal(register(done, 0, 'ISR1'), 0x2_0000);
    assert.equal(register(done, 0, 'ISR2'), 0);
  });

  test('CR8 is bits 7:4 of TPR', () => {
    const done = after([
      { do: 'writeCr8', on: 0, value: 5 },
      { do: 'readCr8', on: 0 },
    ]);
    assert.equal(register(done, 0, 'TPR'), 0x50);
    assert.deepEqual(done.seen.at(-1)!.result, { low: 5, high: 0 });
  });

  test('on Intel PPR may stay behind a write of CR8, and what may be dispatched does not', () => {
    const write8: Operation = { do: 'writeCr8', on: 0, value: 5 };
    const pprs = outcomes(initialState(1), write8, intel).map((one) => one.state.processors[0]!.page[numberOf('PPR')]);
    assert.deepEqual([...new Set(pprs)].sort(), [0, 0x50]);
    const { state } = after([write(0, 'ICR', 0x4_0041), write8], 1, intel);
    for (const { seen } of outcomes(state, { do: 'sti', on: 0 }, intel)) assert.deepEqual(seen.handled, []);
  });

  test('vectors below 16 stay in IRR: the deviation `illegal-vector`', () => {
    const done = after([write(0, 'ICR', 0x4_000e), { do: 'sti', on: 0 }]);
    assert.equal(register(done, 0, 'IRR0'), 1 << 14);
    assert.deepEqual(done.seen.at(-1)!.handled, []);
  });
});

describe('INIT, SIPI, NMI', () => {
  const init = [write(0, 'ICR2', 0x0100_0000), write(0, 'ICR', 0x4500)];

  test('INIT makes an AP wait, resets its APIC but for the id, and SIPI starts it', () => {
    const waits = after([write(1, 'ID', 0x0100_0000), write(1, 'TPR', 0x40), ...init]);
    assert.equal(waits.state.processors[1]!.mpState, 2);
    assert.deepEqual(
      (['ID', 'TPR', 'SVR', 'DFR', 'LVT_LINT0'] as const).map((name) => register(waits, 1, name)),
      [0x0100_0000, 0, 0xff, 0xffff_ffff, 0x1_0000],
    );
    const started = step(amd, waits.state, write(0, 'ICR', 0x4612));
    assert.equal(started.state.processors[1]!.mpState, 0);
    assert.equal(started.started.get(1), 0x12);
  });

  test('a SIPI to somebody who does not wait is dropped; INIT de-assert is ignored', () => {
    const sipi = after([write(0, 'ICR2', 0x0100_0000), write(0, 'ICR', 0x4612)]);
    assert.deepEqual(sipi.state.processors[1], initialState(2).processors[1]);
    assert.equal(step(amd, sipi.state, write(0, 'ICR', 0x4612)).started.size, 0);
    const deassert = after([write(0, 'ICR2', 0x0100_0000), write(0, 'ICR', 0x8500)]);
    assert.equal(deassert.state.processors[1]!.mpState, 0);
  });

  test('HLT sleeps, also behind what was handled before it; an interrupt that can be taken wakes', () => {
    const sleeps = after([
      { do: 'nmi', on: 0 },
      { do: 'hlt', on: 0 },
    ]);
    assert.deepEqual([sleeps.seen[1]!.handled, sleeps.seen[1]!.ended], [[2], 'asleep']);
    assert.equal(sleeps.state.processors[0]!.mpState, 3);
    const woken = step(amd, step(amd, sleeps.state, { do: 'nmi', on: 0 }).state, { do: 'nop', on: 0 });
    assert.deepEqual([woken.seen.handled, woken.state.processors[0]!.mpState], [[2], 0]);
  });

  test('two NMIs wait, a third is lost; they come before interrupts', () => {
    const nmi: Operation = { do: 'nmi', on: 0 };
    const msi: Operation = { do: 'msi', addressLo: 0xfee0_0000, data: 0x41 };
    const done = after([{ do: 'sti', on: 0 }, nmi, nmi, nmi, msi, { do: 'nop', on: 0 }]);
    assert.deepEqual(done.seen[5]!.handled, [2, 2, 0x41]);
    assert.equal(done.seen[4]!.delivered, true);
  });
});

describe('x2APIC mode', () => {
  const enter = [base(0, 'x2apic'), base(1, 'x2apic')];
  const faults = (operation: Operation, mode = enter) =>
    after([...mode, operation])
      .seen.at(-1)!
      .handled.includes(13);

  test('what is reserved raises #GP, and changes nothing', () => {
    for (const [msr, low, high] of [
      [0x802, 1, 0], // ID
      [0x80d, 1, 0], // LDR
      [0x80e, 0, 0], // DFR
      [0x831, 0, 0], // ICR2
      [0x808, 0x10, 1], // TPR, bits 63:32
      [0x828, 1, 0], // ESR
      [0x83f, 0x100, 0], // SELF IPI
      [0x830, 1 << 13, 0],
      [0x830, 1 << 16, 0],
      [0x830, 1 << 20, 0],
      [0x840, 0, 0],
    ] as const) {
      assert.ok(faults(wrmsr(0, msr, low, high)), msr.toString(16));
      assert.deepEqual(after([...enter, wrmsr(0, msr, low, high)]).state, after(enter).state, msr.toString(16));
    }
    for (const msr of [0x80b, 0x80e, 0x831, 0x83f]) assert.ok(faults({ do: 'rdmsr', on: 0, msr }), msr.toString(16));
    assert.ok(!faults(wrmsr(0, 0x808, 0x10)));
    assert.ok(faults(wrmsr(0, 0x808, 0x10), []), 'xAPIC mode has no such MSRs');
  });

  test('one write sends, to the 32-bit destination, and makes no exit', () => {
    const done = after([...enter, wrmsr(0, 0x830, 0x41, 1)]);
    assert.deepEqual(pending(done, 'IRR2'), [1]);
    assert.deepEqual(done.seen.at(-1)!.exits, []);
  });

  test('SELF IPI comes to the sender, and leaves ICR alone', () => {
    const done = after([...enter, wrmsr(0, 0x830, 0x41, 1), wrmsr(0, 0x83f, 0x52)]);
    assert.equal(register(done, 0, 'IRR2'), 1 << 18);
    assert.equal(register(done, 0, 'ICR'), 0x41);
  });

  test('LDR follows from the id', () => {
    const done = after(enter.concat(wrmsr(0, 0x830, 0x841, 2)));
    assert.equal(register(done, 1, 'LDR'), 2);
    assert.deepEqual(pending(done, 'IRR2'), [1]);
  });

  test('there is no page: writes are dropped', () => {
    assert.deepEqual(after([...enter, write(0, 'TPR', 0x40)]).state, after(enter).state);
  });

  test('bits 63:32 of the ICR after INIT: Intel clears them, AMD keeps them (`icr2-after-x2apic-init`)', () => {
    const init = [...enter, wrmsr(1, 0x830, 0x41, 0x77), wrmsr(0, 0x830, 0x4500, 1)];
    assert.equal(after(init, 2, intel).state.processors[1]!.icrHigh, 0);
    assert.equal(register(after(init), 1, 'ICR2'), 0x77);
  });
});

test('IA32_APIC_BASE: who may become what', () => {
  const allowed: Record<string, string[]> = {
    disabled: ['disabled', 'xapic'],
    xapic: ['disabled', 'xapic', 'x2apic'],
    x2apic: ['disabled', 'x2apic'],
  };
  for (const from of ['disabled', 'xapic', 'x2apic'] as const)
    for (const to of ['disabled', 'xapic', 'x2apic', 'invalid'] as const) {
      const way: Operation = { do: 'setBase', on: 0, mode: from };
      const done = after([way, base(0, to)]);
      const isAllowed = allowed[from]!.includes(to);
      assert.deepEqual(done.seen.at(-1)!.handled, isAllowed ? [] : [13], `${from} to ${to}`);
      assert.equal(done.state.processors[0]!.apicBase, apicBaseIn(isAllowed ? to : from, 0));
    }
});

test('what was pending before an APIC was disabled comes after it is enabled, or later (`enabled-unseen`)', () => {
  const way = [write(0, 'ICR', 0x4_0041), base(0, 'disabled'), { do: 'sti', on: 0 }] as const;
  const { state } = after(way, 1);
  const handled = outcomes(state, base(0, 'xapic')).map(({ seen }) => seen.handled.length);
  assert.deepEqual([...new Set(handled)], [1, 0]);
});

test('a step changes nothing of the state before, and is the same each time', () => {
  const before = after([write(0, 'ICR', 0x8_0041)]).state;
  const copy = structuredClone(before);
  const [one, other] = [0, 0].map(() => step(amd, before, write(1, 'EOI', 0)));
  assert.deepEqual(before, copy);
  assert.deepEqual(one, other);
});

test('every rule and every deviation says where it is from', () => {
  for (const { section, says } of Object.values(rules)) assert.ok(section.length > 2 && says.length > 5);
  for (const { name, section, sdm, kvm, where } of deviations) {
    assert.match(where, /^[\w/]+\.c, \w+$/, name);
    for (const words of [section, sdm, kvm]) assert.ok(words.length > 5, name);
  }
  assert.equal(new Set(deviations.map(({ name }) => name)).size, deviations.length);
});
