/** Which vCPU writes, and what the others are like. */
import type { LapicRegisterName } from '../../../../abi/apic/lapic.ts';
import { mpStates } from '../../../../abi/kvm/index.ts';
import type { Axis, StateRow } from '../row.ts';
import type { Scene } from '../scene.ts';

const TARGET = 'struct kvm_lapic and struct kvm_vcpu_arch of the destination; __apic_accept_irq';

const target = (
  name: string,
  what: string,
  apply: (scene: Scene) => void,
  alone: readonly string[] = [],
): StateRow => ({
  name,
  what: `the target's ${what}`,
  source: TARGET,
  alone: ['send', ...alone],
  apply(scene) {
    if (scene.target !== scene.sender) apply(scene);
  },
});

const holds = (name: string, what: string, registers: Partial<Record<LapicRegisterName, number>>): StateRow =>
  target(name, what, (scene) => scene.lapic(registers, scene.target));

const mp = (name: string, state: number): StateRow =>
  target(name, `mp_state is ${name}`, (scene) => {
    scene.mpStates.set(scene.target, state);
  });

export const targetAxis: Axis = {
  name: 'target',
  title: 'the target is like',
  rows: [
    ...[0x10, 0x20, 0x40, 0x80, 0xc0, 0xf0].map((tpr) =>
      holds(`tpr-${tpr.toString(16)}`, `TPR is 0x${tpr.toString(16)}`, { TPR: tpr }),
    ),
    ...[0x20, 0x41, 0x80, 0xfe].map((vector) =>
      target(`isr-${vector.toString(16)}`, `vector 0x${vector.toString(16)} is in service`, (scene) =>
        scene.lapicVector('ISR', vector, scene.target),
      ),
    ),
    ...[0x20, 0x41, 0x80, 0xfe].map((vector) =>
      target(`irr-${vector.toString(16)}`, `vector 0x${vector.toString(16)} waits`, (scene) =>
        scene.lapicVector('IRR', vector, scene.target),
      ),
    ),
    target('irr-same', 'IRR has the vector already', (scene) => scene.lapicVector('IRR', scene.vector, scene.target)),
    target('isr-same', 'ISR has the vector', (scene) => scene.lapicVector('ISR', scene.vector, scene.target)),
    target('tmr-same', 'TMR has the vector', (scene) => scene.lapicVector('TMR', scene.vector, scene.target)),
    holds('disabled', 'LAPIC is disabled by software', { SVR: 0xff }),
    holds('spurious', 'spurious vector is 0x20', { SVR: 0x120 }),
    holds('flat', 'logical id is 0x02', { LDR: 0x0200_0000, DFR: 0xffff_ffff }),
    holds('cluster', 'logical id is 0x21 in the cluster model', { LDR: 0x2100_0000, DFR: 0x0fff_ffff }),
    holds('timer', 'timer is armed', { LVT_TIMER: 0x2_00d1, TMICT: 0x7fff_ffff, TMCCT: 0x7fff_ffff, TDCR: 0xa }),
    holds('deadline', 'timer is in TSC-deadline mode', { LVT_TIMER: 0x4_00d1 }),
    holds('lvt', 'LVT is open', { LVT_LINT0: 0x700, LVT_LINT1: 0x400, LVT_ERROR: 0xd2, LVT_PMC: 0x400, ESR: 0x20 }),
    target('irr-all', 'every vector waits', (scene) => {
      for (let vector = 16; vector < 256; vector++) scene.lapicVector('IRR', vector, scene.target);
    }),
    target('sipi-vector', 'last SIPI had the vector 0x9a', (scene) => {
      scene.events.set(scene.target, (events) => ({ ...events, sipiVector: 0x9a }));
    }),
    target('smm', 'in system management mode, where an INIT waits', (scene) => {
      scene.events.set(scene.target, (events) => ({ ...events, smi: { ...events.smi, smm: 1, latchedInit: 1 } }));
    }),
    holds('icr', 'ICR and ICR2 held something', { ICR: 0x40c5, ICR2: 0xa500_0000 }),
    holds('moved-id', 'APIC id is 0x5c', { ID: 0x5c00_0000 }),
    mp('halted', mpStates.KVM_MP_STATE_HALTED),
    mp('uninitialized', mpStates.KVM_MP_STATE_UNINITIALIZED),
    target('nmi-masked', 'NMIs are masked', (scene) => {
      scene.events.set(scene.target, (events) => ({ ...events, nmi: { ...events.nmi, masked: 1 } }));
    }),
    target('nmi-pending', 'NMI waits', (scene) => {
      scene.events.set(scene.target, (events) => ({ ...events, nmi: { ...events.nmi, pending: 1 } }));
    }),
  ],
};

const places = (
  name: string,
  what: string,
  sender: (count: number) => number,
  to: (count: number) => number,
): StateRow => ({
  name,
  what,
  source: 'struct kvm_vcpu: vcpu_id, vcpu_idx; struct kvm_lapic: id',
  apply(scene) {
    const count = scene.bed.vcpus.length;
    if (count < 3) return;
    scene.sender = sender(count);
    scene.target = to(count);
  },
});

export const placeAxis: Axis = {
  name: 'place',
  title: 'vCPU writes and whichever is the target',
  rows: [
    places(
      'first-to-last',
      'the first vCPU writes to the last',
      () => 0,
      (count) => count - 1,
    ),
    places(
      'first-to-second',
      'the first vCPU writes to the second',
      () => 0,
      () => 1,
    ),
    places(
      'last-to-first',
      'the last vCPU writes to the first',
      (count) => count - 1,
      () => 0,
    ),
    places(
      'last-to-second',
      'the last vCPU writes to the second',
      (count) => count - 1,
      () => 1,
    ),
    places(
      'second-to-first',
      'the second vCPU writes to the first',
      () => 1,
      () => 0,
    ),
    places(
      'middle-to-last',
      'the middle vCPU writes to the last',
      (count) => count >> 1,
      (count) => count - 1,
    ),
  ],
};

const base = (name: string, address: bigint): StateRow => ({
  name,
  what: `the sender's APIC page is at 0x${address.toString(16)}`,
  source: 'struct kvm_lapic: base_address; struct kvm_vcpu_arch: apic_base',
  alone: ['mode', 'flags', 'events', 'control', 'registers'],
  apply(scene) {
    scene.apicBase = address;
  },
});

export const baseAxis: Axis = {
  name: 'apic-base',
  title: 'IA32_APIC_BASE of the sender is',
  rows: [
    base('moved', 0xd100_0000n),
    base('above', 0xfef0_0000n),
    {
      ...base('bsp', 0xfee0_0000n),
      what: 'the sender has the bit of the boot processor as well',
      apply(scene) {
        scene.sregs.push((sregs) => ({ ...sregs, apicBase: sregs.apicBase | 0x100n }));
      },
    },
  ],
};
