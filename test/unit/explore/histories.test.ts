/** Histories and scripts without a KVM: the model alone goes through them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Operation } from '../../../lib/apic/model/operations.ts';
import { initialState, type ModelOptions, type ModelState } from '../../../lib/apic/model/state.ts';
import { step } from '../../../lib/apic/model/step.ts';
import { histories } from '../../../lib/explore/arbitrary.ts';
import { scriptOf } from '../../../lib/explore/script.ts';
import { operationsOf, type Step } from '../../../lib/explore/steps.ts';

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
