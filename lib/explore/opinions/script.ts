/** A difference as a script of the kit, where a KVM does not do what the model says. */
import { IA32_APIC_BASE } from '../../abi/apic/msr.ts';
import { apicBaseIn, type ModelState } from '../../apic/model/state.ts';
import { scriptOf } from '../script.ts';
import type { OpinionDifference } from './compare.ts';
import type { OwnHistory, OwnOperation } from './guest.ts';
import { ModelMachine } from './predict.ts';

const fields: Record<string, string> = { handlers: 'handled' };

/** `null` where the model was not asked, or each KVM says what it says. */
export function scriptOfSmall(
  { field, values }: OpinionDifference,
  { mode, operations }: OwnHistory,
  replay: string,
): string | null {
  const model = values.get('model');
  const kernel = [values.get('vmx'), values.get('svm')].find((one) => one !== undefined && one !== model);
  if (model === undefined || kernel === undefined) return null;
  const machine = new ModelMachine();
  const first: OwnOperation[] =
    mode === 'x2apic' ? [{ do: 'wrmsr', on: 0, msr: IA32_APIC_BASE, low: apicBaseIn(mode, 0), high: 0 }] : [];
  const done = [...first, ...operations];
  const states = done.map((operation): ModelState => {
    const before = machine.state;
    machine.do(operation);
    return before;
  });
  const difference = { vcpu: 0, field: fields[field] ?? field, kernel, model, bits: [], rule: 'frame' as const };
  return scriptOf({ operations: done, states, differences: [difference] }, 1, `${replay} --opinions`);
}
