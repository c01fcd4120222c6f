/** TPR, PPR, CR8, EOI. SDM: "Task and Processor Priorities", "Signaling Interrupt Servicing Completion". */
import type { Draft } from './draft.ts';
import type { RuleName } from './rules.ts';

/** The highest in service as KVM finds it: see the deviation `ppr-of-set-lapic`. */
function inService(draft: Draft, vcpu: number): number {
  const { remembered } = draft.of(vcpu);
  if (remembered.inService === 0) return -1;
  return remembered.highest === -1 ? draft.highest(vcpu, 'ISR0') : remembered.highest;
}

/** PPR of a TPR and the highest vector in service (-1: none). */
export function pprOf(tpr: number, highest: number): number {
  const vector = Math.max(highest, 0);
  return (tpr & 0xf0) >= (vector & 0xf0) ? tpr & 0xff : vector & 0xf0;
}

export function updatePpr(draft: Draft, vcpu: number, rule: RuleName = 'ppr'): void {
  draft.set(vcpu, 'PPR', pprOf(draft.get(vcpu, 'TPR'), inService(draft, vcpu)), rule);
}

export function setTpr(draft: Draft, vcpu: number, value: number, rule: RuleName = 'tpr'): void {
  draft.set(vcpu, 'TPR', value & 0xff, rule);
  updatePpr(draft, vcpu);
}

/** Moves a vector into service. */
export function serve(draft: Draft, vcpu: number, vector: number): void {
  draft.mark(vcpu, 'IRR0', vector, false, 'accept.service');
  const { remembered } = draft.of(vcpu);
  if (!draft.has(vcpu, 'ISR0', vector)) {
    draft.mark(vcpu, 'ISR0', vector, true, 'accept.service');
    remembered.inService += 1;
    remembered.highest = vector;
  }
  updatePpr(draft, vcpu);
}

export function endOfInterrupt(draft: Draft, vcpu: number): void {
  const vector = inService(draft, vcpu);
  draft.touch(vcpu, 'ISR', 'eoi');
  if (vector === -1) return;
  const { remembered } = draft.of(vcpu);
  if (draft.has(vcpu, 'ISR0', vector)) {
    draft.mark(vcpu, 'ISR0', vector, false, 'eoi');
    remembered.inService -= 1;
    remembered.highest = -1;
  }
  updatePpr(draft, vcpu, 'eoi');
}

/** What KVM remembers of ISR, found out from the register anew. */
export function rememberAnew(draft: Draft, vcpu: number): void {
  let inService = 0;
  for (let vector = 0; vector < 256; vector++) if (draft.has(vcpu, 'ISR0', vector)) inService += 1;
  draft.of(vcpu).remembered = { inService, highest: -1 };
}

/** The vector that would be dispatched now, or -1. */
export function dispatchable(draft: Draft, vcpu: number): number {
  if (draft.mode(vcpu) === 'disabled') return -1;
  const ppr = pprOf(draft.get(vcpu, 'TPR'), inService(draft, vcpu));
  if (draft.get(vcpu, 'PPR') !== ppr && !isBehind(draft)) draft.set(vcpu, 'PPR', ppr, 'ppr');
  const vector = draft.highest(vcpu, 'IRR0');
  return vector >= 0 && (vector & 0xf0) > ppr ? vector : -1;
}

/** The deviation `ppr-behind-tpr`. */
const isBehind = (draft: Draft) => draft.options.vendor === 'intel' && draft.choices.of(2) === 1;

/** A guest's write of TPR by CR8 or by its MSR. */
export function setTprByCpu(draft: Draft, vcpu: number, value: number, rule: RuleName): void {
  draft.set(vcpu, 'TPR', value & 0xff, rule);
  if (!isBehind(draft)) updatePpr(draft, vcpu);
}
