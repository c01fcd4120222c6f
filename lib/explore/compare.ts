/** What the kernel did, beside what the model says. */
import { isDeepStrictEqual } from 'node:util';
import { lapicRegisterName } from '../abi/apic/lapic.ts';
import { type RuleName, rules } from '../apic/model/rules.ts';
import { type ModelOptions, type ModelState, numberOf, pageOf } from '../apic/model/state.ts';
import type { StepOutcome } from '../apic/model/step.ts';
import { isCount } from '../apic/model/timer.ts';
import { hex } from '../base/text.ts';
import type { Rig, Shown } from './rig.ts';

/** One thing that is not as the model says. */
export interface Difference {
  /** Of which vCPU; `null`: of the operation itself. */
  vcpu: number | null;
  field: string;
  kernel: string;
  model: string;
  /** Bits that differ, where there are some. */
  bits: number[];
  rule: RuleName;
}

/** The current count, which runs. */
const TMCCT = numberOf('TMCCT');

/** What the model says of a current count that should not be 0. */
export const RUNS = 'a count';

const shownFields = ['exits', 'handled', 'result', 'ended', 'delivered'] as const;
const ruleOfField: Record<(typeof shownFields)[number], RuleName> = {
  exits: 'forward.exit',
  handled: 'accept.order',
  result: 'read',
  ended: 'hlt',
  delivered: 'icr.destination',
};

/** Whether all that can be seen is as the outcome says. On the way of every operation. */
export function agrees(options: ModelOptions, { seen, state }: StepOutcome, shown: Shown, rig: Rig): boolean {
  if (shown.unexpected !== null || shown.ended !== seen.ended || shown.delivered !== seen.delivered) return false;
  if (shown.handled.length !== seen.handled.length || shown.exits.length !== seen.exits.length) return false;
  if (shown.result?.low !== seen.result?.low || shown.result?.high !== seen.result?.high) return false;
  for (let at = 0; at < seen.handled.length; at++) if (shown.handled[at] !== seen.handled[at]) return false;
  for (let at = 0; at < seen.exits.length; at++) if (!isDeepStrictEqual(shown.exits[at], seen.exits[at])) return false;
  if (shown.left && leftOf(state, shown.left).length > 0) return false;
  for (let vcpu = 0; vcpu < state.processors.length; vcpu++) {
    const processor = state.processors[vcpu]!;
    const { words, mpState, nmis } = rig.seen[vcpu]!;
    if (mpState !== processor.mpState || nmis !== processor.nmis) return false;
    const wanted = pageOf(processor, vcpu, options);
    for (let register = 0; register < wanted.length; register++)
      if (words[register * 4] !== wanted[register] && register !== TMCCT) return false;
    if (!isCount(processor, words[TMCCT * 4]!)) return false;
  }
  return true;
}

/** What kvm_run holds when a guest has come to its end, and what the model says of it, where that is something else. */
function leftOf({ processors }: ModelState, { on, ...left }: NonNullable<Shown['left']>) {
  const { apicBase, page, interrupts } = processors[on]!;
  return (
    [
      ['IA32_APIC_BASE', apicBase >>> 0, 'base.transition'],
      ['CR8', page[numberOf('TPR')]! >> 4, 'cr8'],
      ['RFLAGS.IF', interrupts ? 1 : 0, 'frame'],
    ] as const
  ).filter(([field, model]) => left[field] !== model);
}

/** What is not. */
export function differences(options: ModelOptions, outcome: StepOutcome, shown: Shown, rig: Rig): Difference[] {
  const found: Difference[] = [];
  if (shown.unexpected !== null)
    found.push({ vcpu: null, field: 'the run', kernel: shown.unexpected, model: 'its end', bits: [], rule: 'frame' });
  for (const field of shownFields) {
    const [kernel, model] = [shown[field], outcome.seen[field]];
    if (isDeepStrictEqual(kernel, model)) continue;
    const rule = outcome.blame?.get(`all ${field === 'handled' ? 'handlers' : field}`) ?? ruleOfField[field];
    found.push({ vcpu: null, field, kernel: textOf(kernel), model: textOf(model), bits: [], rule });
  }
  if (shown.left) {
    const { on, ...left } = shown.left;
    for (const [field, model, rule] of leftOf(outcome.state, shown.left))
      found.push({ ...difference(outcome, on, field, left[field], model), rule });
  }
  outcome.state.processors.forEach((processor, vcpu) => {
    const { words, mpState, nmis } = rig.seen[vcpu]!;
    const wanted = pageOf(processor, vcpu, options);
    for (let register = 0; register < wanted.length; register++) {
      const kernel = words[register * 4]!;
      if (kernel === wanted[register] || register === TMCCT) continue;
      const field = lapicRegisterName(register << 4) ?? `page ${hex(register << 4)}`;
      found.push(difference(outcome, vcpu, field, kernel, wanted[register]!));
    }
    const count = words[TMCCT * 4]!;
    if (!isCount(processor, count)) {
      const counts = { model: processor.timer.counting ? RUNS : '0x0', bits: [] };
      found.push({ ...difference(outcome, vcpu, 'TMCCT', count, 0), ...counts });
    }
    if (mpState !== processor.mpState) found.push(difference(outcome, vcpu, 'mp_state', mpState, processor.mpState));
    if (nmis !== processor.nmis) found.push(difference(outcome, vcpu, 'NMIs that wait', nmis, processor.nmis));
  });
  return found;
}

function difference({ blame }: StepOutcome, vcpu: number, field: string, kernel: number, model: number): Difference {
  const rule = blame?.get(`${vcpu} ${field}`) ?? takenBy(blame, field) ?? 'frame';
  const bits = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (((kernel ^ model) >>> bit) & 1) === 1);
  return { vcpu, field, kernel: hex(kernel), model: hex(model), bits, rule };
}

/** Who else has something pending has been named by nobody: the rule of the destination says so. */
const takenBy = (blame: StepOutcome['blame'], field: string): RuleName | undefined =>
  /^(?:IRR|TMR\d|mp_state|NMIs)/.test(field) ? blame?.get('all taken') : undefined;

function textOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(textOf).join(', ');
  if (typeof value === 'number') return hex(value);
  if (typeof value !== 'object') return String(value);
  return `{ ${Object.entries(value)
    .map(([name, one]) => `${name} ${textOf(one)}`)
    .join(', ')} }`;
}

/** In one line. */
export function describeDifference({ vcpu, field, kernel, model, bits }: Difference): string {
  const where = vcpu === null ? field : `vCPU ${vcpu}: ${field}`;
  const which = bits.length === 0 ? '' : ` (${bits.length === 1 ? 'bit' : 'bits'} ${bits.slice(0, 6).join(', ')})`;
  return `${where} is ${kernel}; the model says ${model}${which}`;
}

export const describeRule = (rule: RuleName): string =>
  `${rule}: ${rules[rule].says} (SDM vol. 3, "${rules[rule].section}")`;
