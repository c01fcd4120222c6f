/**
 * The timer, as far as it does the same each time: its initial count is 0, so small that it has expired before KVM has started it,
 * or so large that it is on its way as long as anybody looks. SDM: "APIC Timer", "TSC-Deadline Mode".
 */
import { accept, isEnabled } from './accept.ts';
import type { Draft } from './draft.ts';
import { numberOf, type Processor } from './state.ts';
import { stopped } from './timer-state.ts';

export const IA32_TSC_DEADLINE = 0x6e0;
export const PERIODIC = 1 << 17;
export const TSC_DEADLINE = 1 << 18;
const MODE = PERIODIC | TSC_DEADLINE;
const MASKED = 1 << 16;

/** An initial count that has expired at once, by any divisor. */
export const AT_ONCE = 1;
/** Initial counts from here are on their way for 4 seconds at least: KVM's bus cycle is 1 ns. */
export const FAR = 0xf000_0000;
/** Of what is on its way at least that part is left as long as anybody looks. */
export const LEAST_LEFT = 4;
/** A deadline that no guest's TSC comes to within half an hour: 2^43 ticks, which KVM's arithmetic still bears. */
export const FAR_DEADLINE = 2 ** 43;

const modeIn = (lvt: number): number => lvt & MODE;
const modeOf = (draft: Draft, vcpu: number): number => modeIn(draft.get(vcpu, 'LVT_TIMER'));
const at = ({ page }: Processor, register: 'LVT_TIMER' | 'TMICT'): number => page[numberOf(register)]!;

/** True if the current count, which KVM computes, is one that can be right. */
export function isCount(processor: Processor, count: number): boolean {
  const counts = processor.timer.counting && modeIn(at(processor, 'LVT_TIMER')) !== TSC_DEADLINE;
  const initial = at(processor, 'TMICT');
  return counts ? count > initial / LEAST_LEFT && count <= initial : count === 0;
}

/** A write of the LVT entry, whose bits are kept: a change to TSC-deadline mode, or from it, stops the timer. */
export function setTimerEntry(draft: Draft, vcpu: number, value: number): void {
  const before = modeOf(draft, vcpu);
  draft.set(vcpu, 'LVT_TIMER', value, 'lvt');
  if ((before === TSC_DEADLINE) === (modeIn(value) === TSC_DEADLINE)) return;
  draft.of(vcpu).timer = stopped();
  draft.set(vcpu, 'TMICT', 0, 'timer.mode');
  draft.touch(vcpu, 'TMCCT', 'timer.mode');
}

/** What is written in TSC-deadline mode is ignored. */
export function setInitialCount(draft: Draft, vcpu: number, value: number): void {
  if (modeOf(draft, vcpu) === TSC_DEADLINE) {
    draft.touch(vcpu, 'TMICT', 'timer.mode');
    return;
  }
  draft.set(vcpu, 'TMICT', value, 'timer.count');
  draft.touch(vcpu, 'TMCCT', 'timer.count');
  start(draft, vcpu, value);
}

function start(draft: Draft, vcpu: number, count: number): void {
  const { timer } = draft.of(vcpu);
  timer.counting = count > AT_ONCE;
  timer.expired = count === AT_ONCE;
}

/** One that has expired does so again: the deviation `timer-again`. */
export function setDivide(draft: Draft, vcpu: number, value: number): void {
  const changes = draft.get(vcpu, 'TDCR') !== value;
  draft.set(vcpu, 'TDCR', value, 'timer');
  const { timer } = draft.of(vcpu);
  const runs = draft.get(vcpu, 'TMICT') !== 0 && modeOf(draft, vcpu) !== TSC_DEADLINE;
  if (changes && runs && !timer.counting) timer.expired = true;
}

export function setDeadline(draft: Draft, vcpu: number, deadline: number): void {
  if (draft.mode(vcpu) !== 'disabled' && modeOf(draft, vcpu) === TSC_DEADLINE) arm(draft, vcpu, deadline);
}

function arm(draft: Draft, vcpu: number, deadline: number): void {
  const counting = deadline >= FAR_DEADLINE;
  draft.of(vcpu).timer = { counting, expired: deadline > 0 && !counting, deadline };
}

export function deadlineOf(draft: Draft, vcpu: number): number {
  if (draft.mode(vcpu) === 'disabled' || modeOf(draft, vcpu) !== TSC_DEADLINE) return 0;
  return draft.of(vcpu).timer.deadline;
}

/** KVM_SET_LAPIC starts it anew, from the current count of the page. One that had expired does so again: the deviation `timer-again`. */
export function restoreTimer(draft: Draft, vcpu: number): void {
  const { timer } = draft.of(vcpu);
  draft.touch(vcpu, 'TMCCT', 'state.set');
  const mode = modeOf(draft, vcpu);
  if (mode === TSC_DEADLINE) arm(draft, vcpu, timer.deadline);
  else {
    const count = draft.get(vcpu, 'TMICT');
    start(draft, vcpu, count > AT_ONCE && !timer.counting && mode !== PERIODIC ? AT_ONCE : count);
  }
}

/** True if KVM asks for the interrupt of a timer that has expired when it comes to that. */
export const hasExpired = (draft: Draft, vcpu: number): boolean =>
  draft.of(vcpu).timer.expired &&
  draft.mode(vcpu) !== 'disabled' &&
  isEnabled(draft, vcpu) &&
  (draft.get(vcpu, 'LVT_TIMER') & MASKED) === 0;

/** The interrupt of the LVT entry. */
export function interruptByTimer(draft: Draft, vcpu: number): void {
  const processor = draft.of(vcpu);
  processor.timer = stopped();
  draft.touch('all', 'taken', 'timer.expired');
  accept(draft, vcpu, {
    ...{ deliveryMode: 'fixed', destinationMode: 'physical', shorthand: 'self', level: 'assert', trigger: 'edge' },
    vector: draft.get(vcpu, 'LVT_TIMER') & 0xff,
  });
}
