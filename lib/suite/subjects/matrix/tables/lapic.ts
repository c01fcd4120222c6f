/** What the LAPIC of the vCPU that writes holds. */
import type { LapicRegisterName } from '../../../../abi/apic/lapic.ts';
import type { Axis, StateRow } from '../row.ts';

const REGISTERS = 'struct kvm_lapic: regs; SDM vol. 3 11.4';

const holds = (name: string, what: string, registers: Partial<Record<LapicRegisterName, number>>): StateRow => ({
  name,
  what: `its ${what}`,
  source: REGISTERS,
  apply(scene) {
    scene.lapic(registers);
  },
});

/** A bit of one of the 256-bit registers, with what makes it mean something. */
const inService = (vector: number): StateRow => ({
  name: `isr-${vector.toString(16)}`,
  what: `its vector 0x${vector.toString(16)} is in service`,
  source: 'struct kvm_lapic: isr_count, highest_isr_cache; SDM vol. 3 11.8.4',
  apply(scene) {
    scene.lapicVector('ISR', vector);
  },
});

const requested = (vector: number, level = false): StateRow => ({
  name: `irr-${vector.toString(16)}${level ? '-level' : ''}`,
  what: `vector 0x${vector.toString(16)} waits in its IRR${level ? ', level-triggered' : ''}`,
  source: 'struct kvm_lapic: irr_pending; SDM vol. 3 11.8.4',
  apply(scene) {
    scene.lapicVector('IRR', vector);
    if (level) scene.lapicVector('TMR', vector);
  },
});

export const svrAxis: Axis = {
  name: 'svr',
  title: "the sender's SVR says",
  rows: [
    holds('disabled', 'LAPIC is disabled by software', { SVR: 0xff }),
    holds('disabled-vector-0', 'SVR is 0', { SVR: 0 }),
    ...[0x00, 0x0f, 0x20, 0x41, 0xfe].map((vector) =>
      holds(`vector-${vector.toString(16)}`, `spurious vector is 0x${vector.toString(16)}`, { SVR: 0x100 | vector }),
    ),
    holds('focus', 'SVR has focus checking disabled', { SVR: 0x3ff }),
    holds('eoi-broadcast', 'SVR suppresses EOI broadcasts', { SVR: 0x11ff }),
  ],
};

export const tprAxis: Axis = {
  name: 'tpr',
  title: "the sender's TPR is",
  rows: [
    // KVM-AMD keeps bits 7:4 alone, since the others go with CR8; but for a TPR that holds back what waits.
    ...Array.from({ length: 15 }, (_, n) => (n + 1) << 4).map((tpr) =>
      holds(tpr.toString(16).padStart(2, '0'), `TPR is 0x${tpr.toString(16)}`, { TPR: tpr }),
    ),
    {
      name: 'low-bits',
      what: "the sender's TPR is 0xf5, and vector 0x31 waits",
      source: "svm_update_cr8_intercept(): CR8 is the guest's own unless a vector waits; SDM vol. 3 11.8.3.1",
      alone: ['irr', 'isr', 'flags', 'svr', 'send', 'events'],
      apply(scene) {
        scene.lapic({ TPR: 0xf5 });
        scene.lapicVector('IRR', 0x31);
      },
    },
  ],
};

export const isrAxis: Axis = {
  name: 'isr',
  title: 'is in service at the sender',
  rows: [
    ...[0x10, 0x1f, 0x20, 0x40, 0x41, 0x7f, 0x80, 0xc0, 0xe0, 0xfe, 0xff].map(inService),
    {
      name: 'three',
      what: 'three of its vectors are in service',
      source: 'struct kvm_lapic: isr_count, highest_isr_cache; SDM vol. 3 11.8.4',
      apply(scene) {
        for (const vector of [0x22, 0x54, 0x96]) scene.lapicVector('ISR', vector);
      },
    },
  ],
};

export const irrAxis: Axis = {
  name: 'irr',
  title: 'waits in the IRR of the sender',
  rows: [
    ...[0x10, 0x1f, 0x20, 0x40, 0x7f, 0x80, 0xc0, 0xe0, 0xfe, 0xff].map((vector) => requested(vector)),
    requested(0x51, true),
    {
      name: 'all',
      what: 'every vector waits in its IRR',
      source: 'struct kvm_lapic: irr_pending; SDM vol. 3 11.8.4',
      apply(scene) {
        for (let vector = 16; vector < 256; vector++) scene.lapicVector('IRR', vector);
      },
    },
    {
      name: 'same',
      what: 'the vector that it sends waits in its IRR',
      source: 'struct kvm_lapic: irr_pending; SDM vol. 3 11.8.4',
      apply(scene) {
        scene.lapicVector('IRR', scene.vector);
      },
    },
    {
      name: 'tmr',
      what: 'its TMR has vectors that do not wait',
      source: REGISTERS,
      apply(scene) {
        for (const vector of [0x31, 0x62, 0xa3, 0xf4]) scene.lapicVector('TMR', vector);
      },
    },
  ],
};

export const logicalAxis: Axis = {
  name: 'logical',
  title: 'logical id the sender has',
  rows: [
    ...[0x01, 0x02, 0x04, 0x80, 0xff].map((id) =>
      holds(`flat-${id.toString(16)}`, `logical id is 0x${id.toString(16)} in the flat model`, {
        LDR: (id << 24) >>> 0,
        DFR: 0xffff_ffff,
      }),
    ),
    ...[0x11, 0x21, 0x2f, 0xe8, 0xf1].map((id) =>
      holds(`cluster-${id.toString(16)}`, `logical id is 0x${id.toString(16)} in the cluster model`, {
        LDR: (id << 24) >>> 0,
        DFR: 0x0fff_ffff,
      }),
    ),
    // Who sends to its own id has to know it.
    { ...holds('moved-id', 'APIC id is 0x5b', { ID: 0x5b00_0000 }), alone: ['send'] },
  ],
};

const MASKED = 0x1_0000;

export const lvtAxis: Axis = {
  name: 'lvt',
  title: "the sender's LVT holds",
  rows: [
    ...(['LVT_TIMER', 'LVT_THERMAL', 'LVT_PMC', 'LVT_LINT0', 'LVT_LINT1', 'LVT_ERROR'] as const).flatMap((name) => {
      const word = name.slice(4).toLowerCase();
      return [
        holds(`${word}-open`, `${name} is 0x000000d1, not masked`, { [name]: 0xd1 }),
        holds(`${word}-masked`, `${name} is masked, with a vector`, { [name]: MASKED | 0x5a }),
      ];
    }),
    holds('lint0-extint', 'LINT0 takes the PIC', { LVT_LINT0: 0x700 }),
    holds('lint0-level', 'LINT0 is level-triggered', { LVT_LINT0: MASKED | 0x8700 }),
    holds('lint1-nmi', 'LINT1 is the NMI', { LVT_LINT1: 0x400 }),
    holds('pmc-nmi', 'performance counter interrupt is the NMI', { LVT_PMC: 0x400 }),
    holds('error-status', 'ESR is 0x20', { ESR: 0x20 }),
    holds('error-status-all', 'ESR is 0xff', { ESR: 0xff }),
  ],
};

const LONG = 0x7fff_ffff;
const IA32_TSC_DEADLINE = 0x6e0;
/** Hours away at a few GHz, and KVM's conversion to nanoseconds (times 10^6, in 64 bits) does not overflow. */
const FAR_DEADLINE = 1n << 44n;

/** The timer in TSC-deadline mode, and whether it runs. */
const deadline = (name: string, what: string, lvt: number, at: bigint): StateRow => ({
  name,
  what: `its timer is in TSC-deadline mode, ${what}`,
  source: 'struct kvm_timer: timer_mode, tscdeadline; SDM vol. 3 11.5.4.1',
  apply(scene) {
    const { vcpu } = scene;
    scene.lapic({ LVT_TIMER: lvt });
    scene.ready.push(() => vcpu.setMsr(IA32_TSC_DEADLINE, at));
    scene.undo.push(() => vcpu.setMsr(IA32_TSC_DEADLINE, 0n));
  },
});

export const timerAxis: Axis = {
  name: 'timer',
  title: "the sender's APIC timer is",
  rows: [
    holds('one-shot', 'timer is armed, one-shot', { LVT_TIMER: 0xd1, TMICT: LONG, TMCCT: LONG, TDCR: 0xa }),
    holds('one-shot-masked', 'timer is armed, one-shot and masked', {
      LVT_TIMER: MASKED | 0xd1,
      TMICT: LONG,
      TMCCT: LONG,
      TDCR: 0xa,
    }),
    holds('periodic', 'timer is armed, periodic', { LVT_TIMER: 0x2_00d1, TMICT: LONG, TMCCT: LONG, TDCR: 0xa }),
    holds('periodic-masked', 'timer is armed, periodic and masked', {
      LVT_TIMER: 0x3_00d1,
      TMICT: LONG,
      TMCCT: LONG,
      TDCR: 0xa,
    }),
    deadline('deadline', 'armed', 0x4_00d1, FAR_DEADLINE),
    deadline('deadline-masked', 'armed and masked', MASKED | 0x4_00d1, FAR_DEADLINE),
    deadline('deadline-idle', 'not armed', 0x4_00d1, 0n),
    ...[0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xb].map((divide) =>
      holds(`divide-${divide.toString(16)}`, `timer's divider is ${divide}`, { TDCR: divide }),
    ),
  ],
};

/** The first write of each register finds it. */
const held: typeof holds = (name, what, registers) => ({
  ...holds(name, what, registers),
  apply(scene) {
    scene.prelude = 'both';
    scene.lapic(registers);
  },
});

export const previousAxis: Axis = {
  name: 'previous',
  title: 'its ICR2 and ICR held before',
  rows: [
    held('icr2', 'ICR2 held a destination', { ICR2: 0xa500_0000 }),
    held('icr2-low', 'ICR2 held 1', { ICR2: 0x0100_0000 }),
    held('icr2-broadcast', 'ICR2 held 0xff', { ICR2: 0xff00_0000 }),
    held('icr', 'ICR held a vector', { ICR: 0x40c5 }),
    held('icr-nmi', 'ICR held an NMI', { ICR: 0x4400 }),
    held('icr-init', 'ICR held an INIT', { ICR: 0x4500 }),
    held('icr-logical', 'ICR held a logical destination', { ICR: 0x48c5 }),
    held('icr-self', 'ICR held the shorthand self', { ICR: 0x4_40c5 }),
    held('icr-others', 'ICR held the shorthand others', { ICR: 0xc_40c5 }),
    held('icr-level', 'ICR held a level-triggered IPI', { ICR: 0xc0c5 }),
    held('both', 'ICR and ICR2 held something', { ICR: 0x40c5, ICR2: 0xa500_0000 }),
    {
      name: 'same-icr2',
      what: 'its ICR2 held the destination that it writes',
      source: REGISTERS,
      apply(scene) {
        scene.prelude = 'none';
        scene.lapic({ ICR2: (scene.sent.destination << 24) >>> 0 });
      },
    },
    {
      name: 'same-icr',
      what: 'its ICR held what it writes',
      source: REGISTERS,
      apply(scene) {
        scene.prelude = 'none';
        scene.status = 0;
        scene.lapic({ ICR: (scene.sent.icr | scene.vector) >>> 0 });
      },
    },
  ],
};

export const lapicAxes: readonly Axis[] = [
  svrAxis,
  tprAxis,
  isrAxis,
  irrAxis,
  logicalAxis,
  lvtAxis,
  timerAxis,
  previousAxis,
];
