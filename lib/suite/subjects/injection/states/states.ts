/** States of vCPUs in which a write is replayed: each has many fields that are not as after reset. */
import type { LapicRegisterName } from '../../../../abi/apic/lapic.ts';
import { kvmVapicAddr, mpStates } from '../../../../abi/kvm/index.ts';
import { ioctls } from '../../../../abi/kvm/ioctl.ts';
import type { SceneState } from './row.ts';
import { SPARE, type Stand } from './stand.ts';

export type LapicValues = Partial<Record<LapicRegisterName, number>>;

/** KVM_SET_LAPIC makes PPR of the vectors that were in service before it. */
export function lapic(name: string, registers: LapicValues): SceneState {
  return {
    name,
    set({ source }) {
      for (let twice = 0; twice < 2; twice++) source.setLapicRegisters(registers);
      const { cr8, ...sregs } = source.getSregs();
      const tpr = BigInt((registers.TPR ?? Number(cr8) << 4) >> 4);
      if (tpr !== cr8) source.setSregs({ ...sregs, cr8: tpr });
      if (registers.TPR !== undefined) source.setLapicRegisters({ TPR: registers.TPR });
    },
  };
}

/** Each vCPU has a logical id of its own, the source another one. */
export const logical = (name: string, ids: (place: number, isSource: boolean) => number, DFR: number): SceneState => ({
  name,
  set({ vcpus, source }) {
    vcpus.forEach((vcpu, place) => {
      vcpu.setLapicRegisters({ DFR, LDR: (ids(place, vcpu === source) << 24) >>> 0 });
    });
  },
});

export const bit = (vector: number) => (1 << (vector & 31)) >>> 0;
export const FLAT = 0xffff_ffff;
export const CLUSTER = 0x0fff_ffff;
/** KVM_SET_LAPIC starts the timer at TMCCT: a timer that is at 0 ends at once, if the vCPU has no CPUID to make it periodic. */
export const FAR = 0x7fff_ffff;

const flat = logical('flat logical ids', (place, isSource) => (isSource ? 0x83 : 4 << (place % 5)), FLAT);
const clusters = logical('clusters', (place) => (((place >> 1) + 1) << 4) | (1 << (place & 1)), CLUSTER);

export const mp = (name: string, mpState: number): SceneState => ({
  name,
  frozen: true,
  set({ source }) {
    source.setMpState(mpState);
  },
});

const busy: LapicValues = {
  SVR: 0x137f,
  TPR: 0xf3,
  ISR2: bit(0x4a),
  ISR6: bit(0xc5),
  IRR2: bit(0x47),
  IRR6: bit(0xc6),
  LVT_TIMER: 0x2_00d1,
  TMICT: FAR,
  TMCCT: FAR,
  TDCR: 0xa,
  LVT_LINT0: 0x8700,
  LVT_LINT1: 0x400,
  LVT_ERROR: 0xd1,
  LVT_PMC: 0xd1,
  LVT_THERMAL: 0xd1,
  ESR: 0x40,
  ICR: 0xc_cfc5,
  ICR2: 0xa500_0000,
};

/** The vectors of the programs' IPIs are none of these. */
const besieged: LapicValues = {
  TPR: 0x20,
  ISR2: bit(0x41),
  ISR7: bit(0xfe),
  IRR1: bit(0x21),
  IRR7: bit(0xfc),
  TMR1: bit(0x21),
  LVT_TIMER: 0x2_00d1,
  TMICT: FAR,
  TMCCT: FAR,
  TDCR: 0xb,
  LVT_LINT0: 0x700,
  LVT_LINT1: 0x400,
  ESR: 0x20,
  ICR: 0x8c5,
  ICR2: 0x1500_0000,
};

/** The same, and nothing is pending. */
const occupied: LapicValues = {
  TPR: 0xc0,
  ISR2: bit(0x41),
  LVT_TIMER: 0xd1,
  LVT_ERROR: 0xd1,
  ICR: 0xc_4500,
  ICR2: 0xff00_0000,
};

const served: LapicValues = {
  TPR: 0x25,
  ISR3: bit(0x65),
  IRR0: bit(0x15),
  LVT_TIMER: 0x5_005a,
  LVT_LINT0: 0x1_005a,
  LVT_ERROR: 0x1_005a,
  ICR: 0x4131,
  ICR2: 0x0100_0000,
};

const movedPage = (stand: Stand, registers: LapicValues) => {
  const { apicBase, ...sregs } = stand.source.getSregs();
  stand.source.setSregs({ ...sregs, apicBase: (apicBase & 0xfffn) | 0xfed4_0000n });
  stand.source.setLapicRegisters(registers);
};

/** Of every vCPU but the source. */
export const others = (name: string, set: (vcpu: Stand['source'], place: number) => void): SceneState => ({
  name,
  set({ vcpus, source }) {
    vcpus.forEach((vcpu, place) => {
      if (vcpu !== source) set(vcpu, place);
    });
  },
});

/** A list of states that hold together. */
export type StandScene = readonly SceneState[];

export const scenes: readonly StandScene[] = [
  [flat, lapic('with all that a local APIC can have', busy)],
  [flat, lapic('with a vector in service and one pending', served)],
  [clusters, lapic('with ICR2 all ones', { ICR2: 0xff00_0000, ICR: 0 })],
  [flat, lapic('off by SVR', { SVR: 0xff, TPR: 0x80, IRR5: bit(0xb5), ISR1: bit(0x2a), ICR2: 0x8000_0000 })],
  [
    flat,
    {
      name: 'with its page moved',
      set: (stand) => movedPage(stand, { ICR2: 0x0200_0000, SVR: 0x100, TDCR: 3 }),
    },
  ],
  [
    flat,
    {
      name: 'with a page for its TPR',
      set({ source }) {
        source.ioctlRaw(ioctls.KVM_SET_VAPIC_ADDR, kvmVapicAddr.encode({ vapicAddr: BigInt(SPARE) }));
      },
    },
  ],
  [
    flat,
    others('the others with all that a local APIC can have, by turns', (vcpu, place) =>
      vcpu.setLapicRegisters(place & 2 ? occupied : besieged),
    ),
  ],
  [
    flat,
    others(
      'the others in TSC-deadline mode, with NMIs masked and one pending, halted or waiting for SIPI',
      (vcpu, place) => {
        vcpu.setLapicRegisters({ LVT_TIMER: 0x4_00d1 });
        const { nmi } = vcpu.getVcpuEvents();
        vcpu.setVcpuEvents({ nmi: { ...nmi, masked: 1, pending: 1 } });
        vcpu.setMpState(place & 1 ? mpStates.KVM_MP_STATE_HALTED : mpStates.KVM_MP_STATE_UNINITIALIZED);
      },
    ),
  ],
  [flat, mp('halted', mpStates.KVM_MP_STATE_HALTED)],
  [flat, mp('uninitialized', mpStates.KVM_MP_STATE_UNINITIALIZED)],
  [flat, mp('waiting for SIPI', mpStates.KVM_MP_STATE_INIT_RECEIVED)],
];

/** In xAPIC mode alone: an id of its own. */
export const xapicScenes: readonly StandScene[] = [[flat, lapic('with another APIC id', { ID: 9 << 24 })]];

/** No local APIC takes anything. */
export const allOff: StandScene = [
  {
    name: 'every local APIC off by SVR',
    set({ vcpus }) {
      for (const vcpu of vcpus) vcpu.setLapicRegisters({ SVR: 0xff });
    },
  },
];

/** What no ioctl takes back: it comes last on its pair. */
export const lastState: SceneState = {
  name: 'in SMM, with an INIT that waits',
  frozen: true,
  set({ source }) {
    const { smi } = source.getVcpuEvents();
    source.setVcpuEvents({ smi: { ...smi, smm: 1, latchedInit: 1 } });
  },
};

export const plainScene: StandScene = [flat];
