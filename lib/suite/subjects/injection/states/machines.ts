/** VMs that writes are replayed in: each has many fields that are not as in the plainest one. */
import { EventFd } from '../../../../kvm/eventfd.ts';
import { GuestMemory, PAGE_SIZE } from '../../../../kvm/guest-memory.ts';
import type { Vcpu } from '../../../../kvm/vcpu/vcpu.ts';
import type { Vm } from '../../../../kvm/vm/vm.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { SPARE, type StandOptions } from './stand.ts';
import { allOff, busyScene, lastScenes, plainScene, type StandScene, scenes } from './states.ts';

export interface StandRow {
  /** As a check's id has it. */
  word: string;
  what: string;
  options: StandOptions;
  scenes: readonly StandScene[];
}

const ids = (count: number) => Array.from({ length: count }, (_, n) => n);

/** Documentation/virt/kvm/x86/msr.rst */
const MSR_KVM = { clock: 0x4b56_4d01, asyncPf: 0x4b56_4d02, stealTime: 0x4b56_4d03, pvEoi: 0x4b56_4d04 };
const IA32_TSC_ADJUST = 0x3b;

function paravirtual(vcpu: Vcpu): void {
  vcpu.setMsr(MSR_KVM.clock, BigInt(SPARE) | 1n);
  vcpu.setMsr(MSR_KVM.stealTime, BigInt(SPARE + 0x100) | 1n);
  vcpu.setMsr(MSR_KVM.pvEoi, BigInt(SPARE + 0x200) | 1n);
  vcpu.setMsr(MSR_KVM.asyncPf, BigInt(SPARE + 0x400) | 1n);
  vcpu.setMsr(IA32_TSC_ADJUST, 0x1000n);
}

/** Hyper-V TLFS, 2.4, 3.5, 7.8.7, 11.3 and 12.4: guest OS id, hypercall page, reference TSC, VP assist page, SynIC. */
function hyperv(vcpu: Vcpu): void {
  vcpu.setMsr(0x4000_0000, 0x8100_0000_0001_0000n);
  for (const [page, msr] of [0x4000_0001, 0x4000_0021, 0x4000_0073].entries())
    vcpu.setMsr(msr, BigInt(SPARE + (page + 1) * PAGE_SIZE) | 1n);
  vcpu.enableCap('KVM_CAP_HYPERV_SYNIC2');
}

function slots(ctx: CheckContext, vm: Vm): void {
  for (let slot = 1; slot < 5; slot++) {
    const memory = ctx.own(GuestMemory.allocate(4 << 20));
    vm.setMemory({ slot, guestPhysAddr: 0x1000_0000 * slot, memory, readonly: slot === 4 });
  }
}

function devices(ctx: CheckContext, vm: Vm): void {
  vm.assignIoeventfd(ctx.own(EventFd.create()), { address: 0xc000_0000, length: 4 });
  vm.registerCoalesced({ address: 0xc100_0000, size: 4096 });
}

function hostsActs(vm: Vm): void {
  vm.enableX2apicApi(3);
  vm.enableUserSpaceMsr(7);
  vm.enableCap('KVM_CAP_DISABLE_QUIRKS2', [1n << 0n]);
  vm.enableCap('KVM_CAP_X86_DISABLE_EXITS', [BigInt(vm.checkExtension('KVM_CAP_X86_DISABLE_EXITS') & 6)]);
  vm.setMsrFilter({ ranges: [{ base: 0x1_0000, count: 8 }] });
}

function routes(ctx: CheckContext, vm: Vm): void {
  const message = { type: 'msi', addressLo: 0xfee0_0000, data: 0x4071 } as const;
  vm.setGsiRouting(ids(30).map((gsi) => ({ ...message, gsi })));
  vm.assignIrqfd(ctx.own(EventFd.create()), 5);
  vm.createPit2();
}

export const standRows: readonly StandRow[] = [
  {
    word: 'lapic',
    what: 'whatever state its vCPU is in',
    options: { ids: ids(4), source: 1 },
    scenes: [...scenes, ...lastScenes],
  },
  {
    word: 'split',
    what: 'with the split irqchip, a dirty log, more slots, devices, and every act of the host',
    options: {
      ids: ids(4),
      source: 3,
      irqchip: 'split',
      logDirtyPages: true,
      early: hostsActs,
      made(ctx, vm) {
        slots(ctx, vm);
        devices(ctx, vm);
      },
    },
    scenes: [plainScene, busyScene],
  },
  {
    word: 'paravirtual',
    what: "with KVM's pages for guests, routes, irqfds and a PIT",
    options: { ids: ids(3), source: 2, made: routes, vcpu: paravirtual },
    scenes: [plainScene, allOff],
  },
  {
    word: 'hyperv',
    what: "with Hyper-V's interface, and guests that use it",
    options: { ids: ids(2), source: 0, cpuid: 'hyperv', vcpu: hyperv },
    scenes: [plainScene],
  },
  {
    word: 'bare',
    what: 'without CPUID, of the only vCPU or of one of two',
    options: { ids: ids(2), source: 1, cpuid: 'none' },
    scenes: [plainScene],
  },
  { word: 'one', what: 'of the only vCPU', options: { ids: ids(1), source: 0 }, scenes: [plainScene, allOff] },
  {
    word: 'many',
    what: 'of the tenth of 34 vCPUs',
    options: { ids: ids(34), source: 9, cpuid: 'bare' },
    scenes: [plainScene],
  },
  {
    word: 'sparse',
    what: 'of a boot processor whose vcpu_id is not its place',
    options: { ids: [201, 70, 17, 3], source: 1, early: (vm) => vm.setBootCpuId(70) },
    scenes: [plainScene],
  },
];

/** Where each vector is tried: the VM with most that is not as in the plainest one. */
export const vectorStand: StandRow = standRows.find(({ word }) => word === 'split')!;

/** What no row has, and why. */
export const leftOut: readonly string[] = [
  'A vCPU that is in its guest: what it is like then depends on when one looks.',
  'x2APIC IPIs to everyone or to all but self: lost in the series as posted, and a check of their own (`injection.twin.x2.everyone`).',
  'x2APIC ICR writes of a vCPU in xAPIC mode, or with another logical model than that of x2APIC mode: no guest can make them.',
  'Reserved bits of the x2APIC ICR, a local APIC that is off: `injection.twin.x2.refused`, `injection.twin.source-off`.',
  'A map of local APICs whose highest id is 0: KVM makes each for 256 ids at least.',
  'xAPIC ICR writes where every local APIC is in x2APIC mode: no guest can make them.',
  'In x2APIC mode bits 31:24 of the ID and the LDR: 0 for every vcpu_id that KVM takes.',
  'On vmx, where a write takes a tenth of a second: a run draws one state of each VM, one of its programs, and a third of the IPIs; `--thorough` takes all.',
  'On vmx each of the 256 vectors: a run draws 32, `--thorough` takes all.',
];
