/** What the model knows of a machine: plain data. */
import { type LapicRegisterName, lapicRegisters } from '../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, APIC_BASE_EXTD } from '../../abi/apic/msr.ts';
import type { ApicMode } from '../mode.ts';
import { stopped, type Timer } from './timer-state.ts';

/** KVM's names of what a vCPU does: include/uapi/linux/kvm.h, KVM_MP_STATE_*. */
export const RUNNABLE = 0;
export const WAIT_FOR_SIPI = 2;
export const HALTED = 3;

/** A vCPU's interrupt side: its local APIC, and what of the CPU takes part. */
export interface Processor {
  /** By register number (the offset in the page divided by 16): what the register holds. */
  page: number[];
  /** IA32_APIC_BASE. */
  apicBase: number;
  /** What KVM remembers of ISR beside the register itself: how many bits are set, and the highest where it is sure. */
  remembered: { inService: number; highest: number };
  /** Bits 63:32 of the x2APIC's ICR, where the kernel keeps them beside ICR2 (Intel). */
  icrHigh: number;
  mpState: number;
  /** NMIs that wait: 2 at most. */
  nmis: number;
  /** RFLAGS.IF. */
  interrupts: boolean;
  /** It has been enabled by IA32_APIC_BASE, and KVM may not have looked at its IRR since: the deviation `enabled-unseen`. */
  unseen: boolean;
  /** Its handlers end with EOI. */
  eoi: boolean;
  timer: Timer;
}

export interface ModelState {
  processors: Processor[];
}

/** What differs between kernels that are right. */
export interface ModelOptions {
  vendor: 'amd' | 'intel';
  /** Guest writes of ICR and ICR2 in the page make KVM_RUN return. */
  forwards: boolean;
  /** So do those of the x2APIC's ICR, SELF IPI and IA32_APIC_BASE (profiles with an opt-in). */
  forwardsMsrs?: boolean;
  /** kvm.vector_hashing: the vector says who takes an interrupt of lowest priority. Without it each of those named may. */
  hashing: boolean;
  /** The vCPUs have TSC-deadline mode: CPUID.01H:ECX bit 24. */
  tscDeadline?: boolean;
}

const BSP = 1 << 8;
const ENABLE = Number(APIC_BASE_ENABLE);
const EXTD = Number(APIC_BASE_EXTD);
const DEFAULT_BASE = 0xfee0_0000;

/** Number of a register. */
export const numberOf = (register: LapicRegisterName): number => lapicRegisters[register] >> 4;

export const modeOf = ({ apicBase }: Processor): ApicMode =>
  (apicBase & ENABLE) === 0 ? 'disabled' : (apicBase & EXTD) === 0 ? 'xapic' : 'x2apic';

/** IA32_APIC_BASE of a vCPU in a mode. */
export function apicBaseIn(mode: ApicMode | 'invalid', vcpu: number): number {
  const bits = { disabled: 0, xapic: ENABLE, x2apic: ENABLE + EXTD, invalid: EXTD }[mode];
  return DEFAULT_BASE + bits + (vcpu === 0 ? BSP : 0);
}

const VERSION = 0x5_0014;
const LVT_MASKED = 0x1_0000;
export const lvts = ['LVT_TIMER', 'LVT_THERMAL', 'LVT_PMC', 'LVT_LINT0', 'LVT_LINT1', 'LVT_ERROR'] as const;

/** As KVM makes a vCPU: the state after reset, but software-enabled, and running. */
export function initialState(vcpus: number): ModelState {
  return {
    processors: Array.from({ length: vcpus }, (_, vcpu) => {
      const page = new Array<number>(64).fill(0);
      const set = (register: LapicRegisterName, value: number) => {
        page[numberOf(register)] = value >>> 0;
      };
      set('ID', vcpu << 24);
      set('VERSION', VERSION);
      set('DFR', 0xffff_ffff);
      set('SVR', 0x1ff);
      for (const lvt of lvts) set(lvt, LVT_MASKED);
      if (vcpu === 0) set('LVT_LINT0', 0x700);
      return {
        page,
        apicBase: apicBaseIn('xapic', vcpu),
        remembered: { inService: 0, highest: -1 },
        icrHigh: 0,
        mpState: RUNNABLE,
        nmis: 0,
        interrupts: false,
        unseen: false,
        eoi: true,
        timer: stopped(),
      };
    }),
  };
}

export const copyOf = ({ processors }: ModelState): ModelState => ({
  processors: processors.map((one) => ({
    ...one,
    page: one.page.slice(),
    remembered: { ...one.remembered },
    timer: { ...one.timer },
  })),
});

/** The page as KVM_GET_LAPIC gives it, by register number. */
export function pageOf(processor: Processor, vcpu: number, { vendor }: ModelOptions): number[] {
  if (modeOf(processor) !== 'x2apic') return processor.page;
  const page = processor.page.slice();
  page[numberOf('ID')] = (vcpu << 24) >>> 0;
  if (vendor === 'intel') page[numberOf('ICR2')] = processor.icrHigh;
  return page;
}
