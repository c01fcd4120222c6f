/** What the VM is like: each row is a VM of its own, with the plain scene and some that the seed draws. */
import { EventFd } from '../../../../kvm/eventfd.ts';
import { GuestMemory } from '../../../../kvm/guest-memory.ts';
import type { CheckContext } from '../../../kit/context.ts';
import type { BedOptions } from '../bed.ts';

export interface MachineRow {
  name: string;
  what: string;
  source: string;
  options: BedOptions;
  /** Where guests are slow it has 64 vCPUs. */
  large?: boolean;
  /** Scenes that are drawn beside the plain one. */
  drawn: number;
  /** A VM that the seed puts together may have it beside others: one of each kind, or any of those of kind `any`. */
  trait?: 'ids' | 'cpuid' | 'past' | 'any';
}

const ids = (count: number) => Array.from({ length: count }, (_, n) => n);
const COUNT = 'struct kvm: created_vcpus, online_vcpus; kvm_apic_map';
const VM = 'struct kvm, struct kvm_arch';

/** Where no guest of the matrix has anything. */
const PAGES = 0x3_0000n;
const hypervUse: readonly [msr: number, value: bigint][] = [
  [0x4000_0000, 0x8100_0000_0001_0000n], // HV_X64_MSR_GUEST_OS_ID
  [0x4000_0001, (PAGES + 0x1000n) | 1n], // HV_X64_MSR_HYPERCALL
  [0x4000_0021, (PAGES + 0x2000n) | 1n], // HV_X64_MSR_REFERENCE_TSC
  [0x4000_0073, (PAGES + 0x3000n) | 1n], // HV_X64_MSR_VP_ASSIST_PAGE
];

const extraMemory = (ctx: CheckContext, bytes: number) => ctx.own(GuestMemory.allocate(bytes));

export const machineRows: readonly MachineRow[] = [
  { name: 'one', what: 'it has one vCPU', source: COUNT, options: { ids: ids(1) }, drawn: 10 },
  { name: 'two', what: 'it has two vCPUs', source: COUNT, options: { ids: ids(2) }, drawn: 10 },
  { name: 'three', what: 'it has three vCPUs', source: COUNT, options: { ids: ids(3) }, drawn: 5, trait: 'ids' },
  { name: 'eight', what: 'it has eight vCPUs', source: COUNT, options: { ids: ids(8) }, drawn: 10 },
  { name: 'many', what: 'it has 40 vCPUs', source: COUNT, options: { ids: ids(40) }, drawn: 3 },
  { name: 'crowd', what: 'it has 64 vCPUs', source: COUNT, options: { ids: ids(64) }, drawn: 1 },
  {
    name: 'full',
    what: 'it has 255 vCPUs',
    source: COUNT,
    options: { ids: ids(255), cpuid: 'bare' },
    large: true,
    drawn: 0,
  },
  {
    name: 'sparse',
    what: 'its vcpu_ids have gaps',
    source: COUNT,
    options: { ids: [3, 9, 40, 130, 201] },
    drawn: 6,
    trait: 'ids',
  },
  {
    name: 'descending',
    what: 'its vcpu_ids go down',
    source: COUNT,
    options: { ids: [6, 4, 2, 0] },
    drawn: 2,
    trait: 'ids',
  },
  {
    name: 'boot-processor',
    what: 'vCPU 2 is the boot processor',
    source: `${VM}: bsp_vcpu_id`,
    options: { vm: (vm) => vm.setBootCpuId(2) },
    drawn: 2,
    trait: 'any',
  },
  {
    name: 'dirty-log',
    what: 'its memory logs dirty pages',
    source: VM,
    options: { logDirtyPages: true },
    drawn: 2,
    trait: 'any',
  },
  {
    name: 'pit',
    what: 'it has a PIT',
    source: `${VM}: vpit`,
    options: { made: (_, vm) => vm.createPit2() },
    drawn: 2,
    trait: 'any',
  },
  {
    name: 'slots',
    what: 'it has five slots of memory, one of them read-only, and 16 MiB',
    source: `${VM}: memslots`,
    options: {
      made(ctx, vm) {
        for (let slot = 1; slot < 5; slot++)
          vm.setMemory({
            slot,
            guestPhysAddr: 0x1000_0000 * slot,
            memory: extraMemory(ctx, 16 << 20),
            readonly: slot === 4,
          });
      },
    },
    drawn: 2,
    trait: 'any',
  },
  {
    name: 'devices',
    what: 'it has an ioeventfd, an irqfd and a zone of coalesced MMIO',
    source: `${VM}: ioeventfds, irqfds, coalesced_zones`,
    options: {
      made(ctx, vm) {
        vm.assignIoeventfd(ctx.own(EventFd.create()), { address: 0xc000_0000, length: 4 });
        vm.assignIrqfd(ctx.own(EventFd.create()), 5);
        vm.registerCoalesced({ address: 0xc100_0000, size: 4096 });
      },
    },
    drawn: 2,
    trait: 'any',
  },
  {
    name: 'routes',
    what: 'thirty of its GSIs have a route',
    source: `${VM}: irq_routing`,
    options: {
      made: (_, vm) =>
        vm.setGsiRouting(ids(30).map((gsi) => ({ type: 'msi', addressLo: 0xfee0_0000, data: 0x4071, gsi }))),
    },
    drawn: 2,
    trait: 'any',
  },
  {
    name: 'user-space-msr',
    what: 'unknown MSRs go to user space',
    source: `${VM}: user_space_msr_mask`,
    options: { made: (_, vm) => vm.enableUserSpaceMsr(7) },
    drawn: 2,
    trait: 'any',
  },
  {
    name: 'x2apic-api',
    what: 'KVM_CAP_X2APIC_API is on',
    source: `${VM}: x2apic_format, x2apic_broadcast_quirk_disabled`,
    options: { made: (_, vm) => vm.enableX2apicApi(3) },
    drawn: 2,
    trait: 'any',
  },
  {
    name: 'no-cpuid',
    what: 'its vCPUs have no CPUID',
    source: 'struct kvm_vcpu_arch: cpuid_nent',
    options: { cpuid: 'none' },
    drawn: 0,
  },
  {
    name: 'no-hypervisor',
    what: 'its CPUID shows no hypervisor',
    source: 'struct kvm_vcpu_arch: kvm_cpuid, pv_cpuid',
    options: { cpuid: 'bare' },
    drawn: 2,
    trait: 'cpuid',
  },
  {
    name: 'hyperv',
    what: 'its CPUID shows Hyper-V',
    source: 'struct kvm_vcpu_arch: hyperv_enabled, hyperv; Hyper-V TLFS, 2.4',
    options: { cpuid: 'hyperv' },
    drawn: 2,
    trait: 'cpuid',
  },
  {
    name: 'hyperv-used',
    what: 'its guests use what Hyper-V offers: hypercalls, the reference TSC, the VP assist page, SynIC',
    source: 'struct kvm_hv; struct kvm_vcpu_hv; Hyper-V TLFS, 2.4, 3.5, 7.8.7, 11.3 and 12.4',
    options: {
      cpuid: 'hyperv',
      vcpu(vcpu) {
        for (const [msr, value] of hypervUse) vcpu.setMsr(msr, value);
        vcpu.enableCap('KVM_CAP_HYPERV_SYNIC2');
      },
    },
    drawn: 6,
    trait: 'cpuid',
  },
  {
    name: 'lived',
    what: 'its second vCPU has taken interrupts, NMIs and signals, and has halted, more than once',
    source: 'struct kvm_vcpu_stat: irq_injections, nmi_injections, signal_exits, halt_exits',
    options: { lived: true },
    drawn: 6,
    trait: 'past',
  },
  {
    name: 'msr-filter',
    what: 'it has an MSR filter',
    source: `${VM}: msr_filter`,
    options: { made: (_, vm) => vm.setMsrFilter({ ranges: [{ base: 0xc000_0200, count: 8 }] }) },
    drawn: 2,
    trait: 'any',
  },
  {
    name: 'no-exits',
    what: 'HLT and PAUSE do not leave the guest',
    source: `${VM}: hlt_in_guest, pause_in_guest`,
    options: {
      vm: (vm) =>
        vm.enableCap('KVM_CAP_X86_DISABLE_EXITS', [BigInt(vm.checkExtension('KVM_CAP_X86_DISABLE_EXITS') & 6)]),
    },
    drawn: 0,
  },
  {
    name: 'worn',
    what: 'its second vCPU has written each register more than 1000 times before',
    source: 'vcpu->arch: whatever a series counts in it',
    options: { worn: 1024 },
    drawn: 10,
    trait: 'past',
  },
];
