/** Histories that a guest can do alone, drawn as those of the explorer are. */
import * as fc from 'fast-check';
import { IA32_APIC_BASE, registerMsr } from '../../abi/apic/msr.ts';
import { isGuests, type Operation } from '../../apic/model/operations.ts';
import { histories } from '../arbitrary.ts';
import { operationsOf, type Step } from '../steps.ts';
import type { OwnHistory, OwnOperation } from './guest.ts';
import { ModelMachine } from './predict.ts';

const TMICT = registerMsr('TMICT');
const ENABLED = 0x1ff;
/** The lane's own emulator ends itself otherwise. */
const frailty = { cr8WhileWaiting: true };

/** So many histories; the same seed gives the same. */
export function drawHistories(seed: number, count: number): OwnHistory[] {
  return inOrder(fc.sample(histories(fc, 1, false), { seed, numRuns: count }).map(historyOf));
}

/** Those in x2APIC mode come last: not every machine has a way back from it. */
export function inOrder(drawn: readonly OwnHistory[]): OwnHistory[] {
  return [...drawn.filter(({ mode }) => mode === 'xapic'), ...drawn.filter(({ mode }) => mode === 'x2apic')];
}

function historyOf(steps: readonly Step[], number: number): OwnHistory {
  const mode = steps.some((one) => one.do === 'modes' && one.mode === 'x2apic') ? 'x2apic' : 'xapic';
  const machine = new ModelMachine();
  machine.begin(mode);
  const operations: OwnOperation[] = [];
  const take = (operation: OwnOperation) => {
    operations.push(operation);
    machine.perform(operation);
  };
  take(
    mode === 'xapic'
      ? { do: 'write', on: 0, register: 'SVR', value: ENABLED }
      : { do: 'wrmsr', on: 0, msr: registerMsr('SVR'), low: ENABLED, high: 0 },
  );
  for (const one of steps)
    for (const operation of operationsOf(machine.state, one, frailty))
      if (isOwn(operation, mode) && !machine.wouldReset(operation)) take(operation);
  return { number, mode, operations };
}

/** A bare machine can do it, and goes on after it. */
function isOwn(operation: Operation, mode: OwnHistory['mode']): operation is OwnOperation {
  if (!isGuests(operation)) return operation.do === 'handlers';
  if (operation.do === 'hlt' || operation.do === 'cpuid') return false;
  // Where there is no page, there is whatever the machine has there.
  if (operation.do === 'write' || operation.do === 'read') return mode === 'xapic';
  // A timer that runs is no two machines' alike.
  return operation.do !== 'wrmsr' || (operation.msr !== IA32_APIC_BASE && operation.msr !== TMICT);
}
