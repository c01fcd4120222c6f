/** VMs that writes are replayed in: each has many fields that are not as in the plainest one. */
import type { StandOptions } from './stand.ts';
import { allOff, plainScene, type StandScene, scenes } from './states.ts';
import { type Trait, traits, withTraits } from './traits.ts';

export interface StandRow {
  /** As a check's id has it. */
  word: string;
  what: string;
  options: StandOptions;
  /** It has nothing beside: the plainest of all. */
  bare?: boolean;
  scenes: readonly StandScene[];
  /** Scenes that the seed puts together, after these. */
  drawn: number;
}

const ids = (count: number) => Array.from({ length: count }, (_, n) => n);
const named = (...names: readonly string[]): Trait[] => traits.filter(({ name }) => names.includes(name));

const SPLIT: StandOptions = { ids: ids(4), source: 3, irqchip: 'split' };
/** With all that a VM can have. */
const FULL_OF_TRAITS = withTraits(
  SPLIT,
  traits.filter(({ fits }) => fits?.(SPLIT) ?? true),
);

export const standRows: readonly StandRow[] = [
  {
    word: 'lapic',
    what: 'whatever state its vCPU is in',
    options: { ids: ids(4), source: 1 },
    bare: true,
    scenes,
    drawn: 6,
  },
  {
    word: 'split',
    what: 'with the split irqchip, and whatever the host has done',
    options: SPLIT,
    scenes: [plainScene],
    drawn: 7,
  },
  {
    word: 'paravirtual',
    what: "with KVM's pages for guests, and whatever the host has done",
    options: withTraits(
      { ids: ids(3), source: 2 },
      named('kvmclock', 'steal time', 'PV EOI', 'asynchronous page faults', 'an adjusted TSC'),
    ),
    scenes: [allOff],
    drawn: 7,
  },
  {
    word: 'hyperv',
    what: "with Hyper-V's interface, and guests that use it",
    options: withTraits(
      { ids: ids(2), source: 0, cpuid: 'hyperv' },
      named(
        "Hyper-V's OS id",
        "Hyper-V's hypercall page",
        "Hyper-V's reference TSC",
        "Hyper-V's assist page",
        "Hyper-V's SynIC",
      ),
    ),
    scenes: [plainScene],
    drawn: 7,
  },
  {
    word: 'bare',
    what: 'without CPUID, of the only vCPU or of one of two',
    options: { ids: ids(2), source: 1, cpuid: 'none' },
    scenes: [plainScene],
    drawn: 5,
  },
  { word: 'one', what: 'of the only vCPU', options: { ids: ids(1), source: 0 }, scenes: [allOff], drawn: 5 },
  {
    word: 'many',
    what: 'of the tenth of 34 vCPUs',
    options: { ids: ids(34), source: 9, cpuid: 'bare' },
    scenes: [],
    drawn: 1,
  },
  {
    word: 'sparse',
    what: 'of a boot processor whose vcpu_id is not its place',
    options: { ids: [201, 70, 17, 3], source: 1, early: (vm) => vm.setBootCpuId(70) },
    scenes: [plainScene],
    drawn: 7,
  },
];

/** Where each vector is tried: the VM with most that is not as in the plainest one. */
export const vectorStand: StandOptions = FULL_OF_TRAITS;

/** What no row has, and why. */
export const leftOut: readonly string[] = [
  'x2APIC ICR writes of a vCPU in xAPIC mode, or with another logical model than that of x2APIC mode: no guest can make them.',
  'Reserved bits of the x2APIC ICR, a local APIC that is off: `injection.twin.x2.refused`, `injection.twin.source-off`.',
  "x2APIC IPIs to everyone without CPUID, where a VM comes into x2APIC mode once; elsewhere they leave all as the guest's do, or, as the series as posted does, all as it was (`injection.twin.x2.everyone`).",
  'KVM_DSM_APIC_BASE of a vCPU that is in its guest: the series as posted writes to whichever VMCS is loaded.',
  'A map of local APICs whose highest id is 0: KVM makes each for 256 ids at least.',
  'xAPIC ICR writes where every local APIC is in x2APIC mode: no guest can make them.',
  'In x2APIC mode bits 31:24 of the ID and the LDR: 0 for every vcpu_id that KVM takes.',
  'On vmx, where a write takes a tenth of a second: a run draws one state of each VM, one of its programs, and a third of the IPIs; `--thorough` takes all.',
  'On vmx each of the 256 vectors: a run draws 32, `--thorough` takes all.',
];
