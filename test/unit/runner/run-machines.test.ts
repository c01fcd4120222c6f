/** What is remembered of the machines that a script makes one after the other. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunMachines } from '../../../lib/runner/run-machines.ts';
import type { ObservedMachine } from '../../../lib/script/session.ts';
import type { TraceExit } from '../../../lib/trace/event.ts';

/** One that has made these exits, and is closed. */
function machine(...names: string[]): ObservedMachine {
  const trace = names.map((name) => ({ exit: { name } }) as TraceExit);
  return { vm: { closed: true }, trace } as unknown as ObservedMachine;
}
const sent = () => machine('KVM_EXIT_IO', 'KVM_EXIT_DSM_X2_ICR');

test('the last two of those that are closed, and each that has sent nothing that anybody saw', () => {
  const machines = new RunMachines();
  const silent = machine('KVM_EXIT_IO');
  const open = { ...sent(), vm: { closed: false } };
  const made = [sent(), silent, open, sent(), sent(), sent(), sent()];
  for (const one of made) machines.add(one);
  const left = machines.all.map((one) => made.indexOf(one));
  assert.deepEqual(left, [1, 2, 4, 5, 6]);
  assert.deepEqual(
    made.map((one) => machines.numberOf(one)),
    [0, 1, 2, 3, 4, 5, 6],
  );
  assert.equal(machines.numberOf(sent()), 7);
});
