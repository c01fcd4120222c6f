/** IA32_APIC_BASE. SDM: "x2APIC State Transitions", "Local APIC Status and Location". */
import { x2apicLogicalId } from '../destination.ts';
import type { Draft } from './draft.ts';
import { modeOf, type Processor } from './state.ts';

const ENABLE = 1 << 11;
const EXTD = 1 << 10;

/** A write; false: #GP, and nothing has changed. The host may do what a guest may not. */
export function writeBase(draft: Draft, vcpu: number, value: number, byHost = false): boolean {
  const processor = draft.of(vcpu);
  if ((value & (ENABLE | EXTD)) === EXTD) return false;
  const [before, after] = [modeOf(processor), modeOf({ apicBase: value } as Processor)];
  if (!byHost && before === 'x2apic' && after === 'xapic') return false;
  if (!byHost && before === 'disabled' && after === 'x2apic') return false;
  processor.apicBase = value;
  draft.touch(vcpu, 'IA32_APIC_BASE', 'base.transition');
  if (before === after) return true;
  if (before === 'disabled') processor.unseen = true;
  // What else the registers hold stays: the deviation `kept-while-disabled`.
  if (after === 'xapic') draft.set(vcpu, 'ID', vcpu << 24, 'base.transition');
  if (after === 'x2apic') {
    draft.set(vcpu, 'ID', vcpu, 'x2apic.id');
    draft.set(vcpu, 'LDR', x2apicLogicalId(vcpu), 'x2apic.id');
  }
  return true;
}
