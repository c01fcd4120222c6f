/** Histories and scripts without a KVM: the model alone goes through them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Operation } from '../../../lib/apic/model/operations.ts';
import { initialState, type ModelOptions, type ModelState } from '../../../lib/apic/model/state.ts';
import { step } from '../../../lib/apic/model/step.ts';
import { histories } from '../../../lib/explore/arbitrary.ts';
import { pictureOfParting } from '../../../lib/explore/picture.ts';
import { scriptOf } from '../../../lib/explore/script.ts';
import { operationsOf, type Step } from '../../../lib/explore/steps.ts';
import { diagram } from '../../../lib/picture/diagram.ts';

const sturdy = { cr8WhileWaiting: false };

function through(options: ModelOptions, steps: readonly Step[], vcpus: number) {
  let state = initialState(vcpus);
  const done: { operation: Operation; before: ModelState; choices: number }[] = [];
  for (const one of steps)
    for (const operation of operationsOf(state, one, sturdy)) {
      const outcome = step(options, state, operation);
      done.push({ operation, before: state, choices: outcome.choices });
      state = outcome.state;
    }
  return { state, done };
}

for (const vendor of ['amd', 'intel'] as const)
  test(`${vendor}: the model goes through every history, and its registers stay 32 bits wide`, () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(histories(fc, 3), (steps) => {
        const { state, done } = through({ vendor, forwards: true, hashing: true }, steps, 3);
        for (const { operation, choices } of done) {
          seen.add(operation.do);
          assert.ok(choices <= 64);
        }
        for (const { page, nmis } of state.processors) {
          assert.ok(nmis <= 2);
          for (const word of page) assert.equal(word >>> 0, word);
        }
      }),
      { numRuns: 500, seed: 7 },
    );
    // None of them is left out by mistake.
    const all = ['write', 'read', 'wrmsr', 'rdmsr', 'writeCr8', 'readCr8', 'sti', 'cli', 'nop', 'hlt'];
    assert.deepEqual(
      [...all, 'msi', 'nmi', 'setLapic', 'restore', 'setBase', 'handlers'].filter((name) => !seen.has(name)),
      [],
    );
  });

test('the same seed makes the same histories', () => {
  const [one, other] = [0, 0].map(() => fc.sample(histories(fc, 2), { seed: 5, numRuns: 20 }));
  assert.deepEqual(one, other);
});

test('a history as a script: each operation in a line, and at the end what the model says', () => {
  const steps: Step[] = [
    { do: 'handlers', on: 1, eoi: false },
    { do: 'sti', on: 1 },
    { do: 'send', on: 0, destination: 1, icr: 0x4041 },
    { do: 'nop', on: 1 },
    { do: 'setLapic', on: 0, register: 'TPR', value: 0x20 },
    { do: 'msi', addressLo: 0xfee0_1000, data: 0x31 },
  ];
  const { done } = through({ vendor: 'amd', forwards: true, hashing: true }, steps, 2);
  const parting = {
    operations: done.map(({ operation }) => operation),
    states: done.map(({ before }) => before),
    differences: [{ vcpu: 1, field: 'ISR2', kernel: '0x0', model: '0x2', bits: [1], rule: 'accept.service' as const }],
  };
  const lines = scriptOf(parting, 2, '2v7:0').trimEnd().split('\n');
  assert.ok(lines.length <= 25);
  assert.deepEqual(lines.slice(-7), [
    "on(1, 'sti; nop', false, quiet);",
    "on(0, 'mov ebx, 0xfee00310; mov dword [rbx], 0x1000000'); // write ICR2",
    "on(0, 'mov ebx, 0xfee00300; mov dword [rbx], 0x4041'); // write ICR",
    "on(1, 'nop', true, quiet);",
    'm.vcpu(0).vcpu.setLapicRegisters({ TPR: 0x20 });',
    'm.vm.signalMsi({ addressLo: 0xfee01000, data: 0x31 });',
    'assert.equal(m.vcpu(1).vcpu.lapic().registers.ISR2, 0x2);',
  ]);
});

/** The rows that its picture has, each without its lines. */
function pictured(steps: readonly Step[], vcpus: number, vcpu: number | null): string[] {
  const { done } = through({ vendor: 'amd', forwards: true, hashing: true }, steps, vcpus);
  return diagram(
    pictureOfParting({
      operations: done.map(({ operation }) => operation),
      states: done.map(({ before }) => before),
      differences: [{ vcpu, field: 'IRR2', kernel: '0x0', model: '0x2', bits: [1], rule: 'accept.irr' }],
    }),
  );
}

test('a history as a picture: an arrow to whom an IPI names, and where KVM and the model part', () => {
  const lines = pictured(
    [
      { do: 'poke', on: 0, register: 'TPR', value: 0x20 },
      { do: 'send', on: 0, destination: 1, icr: 0x4041 },
    ],
    2,
    1,
  );
  assert.match(lines[0]!, /^ +vCPU 0 +vCPU 1$/);
  assert.match(lines[1]!, /^#1 +\| TPR = 0x20 +\|$/);
  // Not the write of ICR2: the one of ICR has its destination.
  assert.match(lines[2]!, /^#3 +\| fixed 0x41.*-+>\?/);
  assert.match(lines[3]!, /^#3 +\| +\| IRR2: KVM 0x0, model/);
  assert.ok(lines.every((line) => line.length <= 72));
});

test('a picture knows broadcasts, MSIs and NMIs of the host, and who is off', () => {
  const ends = pictured(
    [
      { do: 'poke', on: 2, register: 'SVR', value: 0xff },
      { do: 'send', on: 0, destination: 0xff, icr: 0x4041 },
      { do: 'msi', addressLo: 0xfee0_1000, data: 0x31 },
      { do: 'nmi', on: 2 },
    ],
    3,
    null,
  );
  const row = (number: number) => ends.find((line) => line.startsWith(`#${number} `))!;
  assert.match(ends[0]!, /host.*vCPU 0.*vCPU 1.*vCPU 2/);
  const [host, zero, one, two] = ['host', 'vCPU 0', 'vCPU 1', 'vCPU 2'].map((name) => ends[0]!.indexOf(name));
  const broadcast = ends.findIndex((line) => line.startsWith('#3 '));
  assert.match(ends[broadcast]!.slice(zero), /fixed 0x41/);
  assert.equal(ends[broadcast]!.slice(one! - 1, one! + 1), '>|', 'vCPU 1 is enabled');
  assert.equal(ends[broadcast]!.slice(two! - 1, two! + 1), ' |', 'vCPU 2 is not');
  assert.match(row(4).slice(host), /MSI fixed/);
  assert.match(row(5).slice(host), /NMI/);
  assert.equal(row(5).slice(two! - 1, two! + 1), '>|');
});

test('what differs is made smaller in a few turns, whatever it is', () => {
  // Each of these holds of some histories, and of smaller ones as well.
  const differs: Record<string, (step: Step) => boolean> = {
    'a reserved bit of an ICR': (step) => step.do === 'send' && step.icr >>> 31 === 1,
    'an ICR': (step) => step.do === 'send',
    'a reserved bit of an MSR': (step) => step.do === 'wrmsr' && step.low > 0x7fff_ffff,
    'an interrupt': (step) => step.do === 'msi',
    'a timer': (step) => step.do === 'poke' && step.register === 'TMICT' && step.value > 0x7fff_ffff,
  };
  for (const [name, differ] of Object.entries(differs)) {
    let turns = 0;
    const { failed, numShrinks } = fc.check(
      fc.property(histories(fc, 2), (steps) => {
        if (!steps.some(differ)) return true;
        turns += 1;
        // Without an end otherwise, where there is none.
        return turns > 2000;
      }),
      { seed: 3, numRuns: 20_000 },
    );
    assert.ok(failed, `${name}: no history has it`);
    assert.ok(numShrinks < 60 && turns < 200, `${name}: ${numShrinks}, ${turns}`);
  }
});
