/** INIT and SIPI. SDM: "Local APIC State After an INIT Reset (Wait-for-SIPI State)", "MP Initialization Protocol Algorithm". */
import type { Draft } from './draft.ts';
import { rememberAnew, updatePpr } from './priority.ts';
import { lvts, numberOf, RUNNABLE, WAIT_FOR_SIPI } from './state.ts';
import { stopped } from './timer-state.ts';

const LVT_MASKED = 0x1_0000;
const LINT0_EXTINT = 0x700;
const BSP = 1 << 8;

export function takeInit(draft: Draft, vcpu: number): void {
  const processor = draft.of(vcpu);
  const set = (register: Parameters<Draft['set']>[1], value: number) => draft.set(vcpu, register, value, 'init');
  for (const lvt of lvts) set(lvt, LVT_MASKED);
  // The deviation `lint0-after-init`.
  if (vcpu === 0) set('LVT_LINT0', LINT0_EXTINT);
  set('DFR', 0xffff_ffff);
  set('SVR', 0xff);
  for (const register of ['TPR', 'ESR', 'TDCR', 'TMICT', 'ICR'] as const) set(register, 0);
  const x2apic = draft.mode(vcpu) === 'x2apic';
  if (!x2apic) {
    set('LDR', 0);
    set('ICR2', 0);
  } else if (draft.options.vendor === 'intel') processor.icrHigh = 0;
  for (const first of ['IRR0', 'ISR0', 'TMR0'] as const)
    for (let word = 0; word < 8; word++) {
      processor.page[numberOf(first) + word] = 0;
      if (draft.blame) draft.touch(vcpu, `${first.slice(0, -1)}${word}`, 'init');
    }
  rememberAnew(draft, vcpu);
  updatePpr(draft, vcpu, 'init');
  processor.timer = stopped();
  draft.touch(vcpu, 'TMCCT', 'init');
  processor.nmis = 0;
  processor.interrupts = false;
  processor.mpState = processor.apicBase & BSP ? RUNNABLE : WAIT_FOR_SIPI;
  draft.touch(vcpu, 'mp_state', 'init');
  draft.touch(vcpu, 'NMIs that wait', 'init');
  draft.started.set(vcpu, -1);
}

export function takeSipi(draft: Draft, vcpu: number, vector: number): void {
  draft.touch(vcpu, 'mp_state', 'sipi');
  const processor = draft.of(vcpu);
  if (processor.mpState !== WAIT_FOR_SIPI) return;
  processor.mpState = RUNNABLE;
  draft.started.set(vcpu, vector);
}
