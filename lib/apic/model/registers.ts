/** Registers in either mode, and those of the page alone. SDM: "Local APIC Registers", "Local Vector Table". */
import { type LapicRegisterName, SVR_ENABLE } from '../../abi/apic/lapic.ts';
import { isEnabled } from './accept.ts';
import type { Draft } from './draft.ts';
import { sendIcr } from './icr.ts';
import { endOfInterrupt, setTpr } from './priority.ts';
import { lvts } from './state.ts';
import { PERIODIC, setDivide, setInitialCount, setTimerEntry, TSC_DEADLINE } from './timer.ts';

const LVT_MASKED = 0x1_0000;
/** Bits of an LVT entry: vector, delivery status, mask. */
const LVT = LVT_MASKED | (1 << 12) | 0xff;
const MODE = 7 << 8;
/** Polarity, remote IRR, trigger. */
const PIN = (1 << 13) | (1 << 14) | (1 << 15);

const lvtBits: Partial<Record<LapicRegisterName, number>> = {
  LVT_TIMER: LVT | PERIODIC,
  LVT_THERMAL: LVT | MODE,
  LVT_PMC: LVT | MODE,
  LVT_LINT0: LVT | MODE | PIN,
  LVT_LINT1: LVT | MODE | PIN,
  LVT_ERROR: LVT,
};

/** A write of a register that both modes have; false if there is none that can be written. */
export function writeRegister(draft: Draft, vcpu: number, register: LapicRegisterName, value: number): boolean {
  switch (register) {
    case 'TPR':
      setTpr(draft, vcpu, value);
      return true;
    case 'EOI':
      endOfInterrupt(draft, vcpu);
      return true;
    case 'SVR':
      // Bits 9:0; the deviation `reserved-masked` in x2APIC mode.
      draft.set(vcpu, 'SVR', value & 0x3ff, 'svr');
      if ((value & SVR_ENABLE) === 0) {
        for (const lvt of lvts) draft.set(vcpu, lvt, draft.get(vcpu, lvt) | LVT_MASKED, 'svr');
        draft.of(vcpu).timer.expired = false;
      }
      return true;
    case 'ESR':
      // The deviation `esr-never-set`.
      draft.touch(vcpu, 'ESR', 'esr');
      return true;
    case 'TDCR':
      setDivide(draft, vcpu, value & 0xb);
      return true;
    case 'TMICT':
      setInitialCount(draft, vcpu, value);
      return true;
    default: {
      const bits = lvtBits[register];
      if (bits === undefined) return false;
      const masked = isEnabled(draft, vcpu) ? value : value | LVT_MASKED;
      if (register === 'LVT_TIMER')
        setTimerEntry(draft, vcpu, masked & (draft.options.tscDeadline ? bits | TSC_DEADLINE : bits));
      else draft.set(vcpu, register, masked & bits, 'lvt');
      return true;
    }
  }
}

/** A 32-bit write in the page, in xAPIC mode. What cannot be written stays as it is. */
export function writePage(draft: Draft, vcpu: number, register: LapicRegisterName, value: number): void {
  switch (register) {
    case 'ID':
      draft.set(vcpu, 'ID', value & 0xff00_0000, 'id');
      return;
    case 'LDR':
      draft.set(vcpu, 'LDR', value & 0xff00_0000, 'ldr');
      return;
    case 'DFR':
      draft.set(vcpu, 'DFR', value | 0x0fff_ffff, 'dfr');
      return;
    case 'ICR2':
      draft.set(vcpu, 'ICR2', value & 0xff00_0000, 'icr.write');
      return;
    case 'ICR': {
      sendIcr(draft, vcpu, value);
      // After an INIT to itself there is nothing left of the write.
      if (draft.started.get(vcpu) !== -1) draft.set(vcpu, 'ICR', value & ~(1 << 12), 'icr.write');
      return;
    }
    default:
      if (!writeRegister(draft, vcpu, register, value)) draft.touch(vcpu, register, 'readonly');
  }
}
