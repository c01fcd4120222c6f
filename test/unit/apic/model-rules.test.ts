/** Whatever the model changes or shows it has a rule for: a difference names the line that disagrees. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { lapicRegisterName } from '../../../lib/abi/apic/lapic.ts';
import type { Operation } from '../../../lib/apic/model/operations.ts';
import { rules } from '../../../lib/apic/model/rules.ts';
import { initialState, type ModelOptions, type ModelState } from '../../../lib/apic/model/state.ts';
import { type StepOutcome, step } from '../../../lib/apic/model/step.ts';
import { histories } from '../../../lib/explore/arbitrary.ts';
import { operationsOf } from '../../../lib/explore/steps.ts';

/** What is to be seen of a step, by the names that rules are kept under. */
function* shownBy(before: ModelState, { seen, state }: StepOutcome): Generator<string> {
  for (const [vcpu, now] of state.processors.entries()) {
    const was = before.processors[vcpu]!;
    for (const [register, word] of now.page.entries())
      if (word !== was.page[register]) yield `${vcpu} ${lapicRegisterName(register << 4)}`;
    if (now.mpState !== was.mpState) yield `${vcpu} mp_state`;
    if (now.nmis !== was.nmis) yield `${vcpu} NMIs that wait`;
  }
  if (seen.exits.length > 0) yield 'all exits';
  if (seen.handled.length > 0) yield 'all handlers';
  if (seen.result) yield 'all result';
  if (seen.delivered !== null) yield 'all delivered';
}

/** Rules of what stays as it is, and of whom an interrupt names: they are told of where nothing changes, or somebody else does. */
const unchanging = [
  ...['frame', 'icr.fixed', 'icr.shorthand', 'icr.lowest', 'icr.nmi'],
  ...['timer.expired', 'esr', 'readonly', 'x2apic.self', 'x2apic.mmio'],
];

for (const vendor of ['amd', 'intel'] as const)
  test(`${vendor}: each register that changes, and all that is seen, has a rule`, () => {
    const options: ModelOptions = { vendor, forwards: true, forwardsMsrs: true, hashing: true, tscDeadline: true };
    const named = new Set<string>();
    for (const steps of fc.sample(histories(fc, 2), { seed: 11, numRuns: 400 })) {
      let state = initialState(2);
      const done: Operation[] = [];
      for (const one of steps)
        for (const operation of operationsOf(state, one, { cr8WhileWaiting: false })) {
          done.push(operation);
          const outcome = step(options, state, operation, 0, true);
          for (const what of shownBy(state, outcome)) {
            const rule = outcome.blame!.get(what);
            assert.ok(rule !== undefined && Object.hasOwn(rules, rule), `${what} by ${rule}: ${JSON.stringify(done)}`);
            named.add(rule);
          }
          state = outcome.state;
        }
    }
    assert.deepEqual(
      Object.keys(rules).filter((rule) => !named.has(rule)),
      unchanging,
    );
  });
