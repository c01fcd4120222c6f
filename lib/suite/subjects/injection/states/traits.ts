/** What a VM of the table of states can have beside what its row says: the seed gives it half of that. */
import { EventFd } from '../../../../kvm/eventfd.ts';
import { GuestMemory, PAGE_SIZE } from '../../../../kvm/guest-memory.ts';
import type { Vcpu } from '../../../../kvm/vcpu/vcpu.ts';
import type { Vm } from '../../../../kvm/vm/vm.ts';
import type { Random } from '../../../../script/random.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { SPARE, type StandOptions } from './stand.ts';

export interface Trait {
  name: string;
  with: Partial<StandOptions>;
  /** Whether a VM can have it. Default: any can. */
  fits?(options: StandOptions): boolean;
}

const GSIS = Array.from({ length: 30 }, (_, gsi) => gsi);

/** Documentation/virt/kvm/x86/msr.rst */
const MSR_KVM = { clock: 0x4b56_4d01, asyncPf: 0x4b56_4d02, stealTime: 0x4b56_4d03, pvEoi: 0x4b56_4d04 };
const IA32_TSC_ADJUST = 0x3b;

const early = (name: string, act: (vm: Vm) => void): Trait => ({ name, with: { early: act } });
const made = (name: string, act: (ctx: CheckContext, vm: Vm) => void, fits?: Trait['fits']): Trait => ({
  name,
  with: { made: act },
  ...(fits && { fits }),
});
const msr = (name: string, index: number, value: bigint, fits?: Trait['fits']): Trait => ({
  name,
  with: { vcpu: (vcpu: Vcpu) => vcpu.setMsr(index, value) },
  ...(fits && { fits }),
});

const isHyperv = ({ cpuid }: StandOptions) => cpuid === 'hyperv';
const isFull = ({ irqchip }: StandOptions) => irqchip !== 'split';
const page = (number: number, offset = 0) => BigInt(SPARE + number * PAGE_SIZE + offset) | 1n;

export const traits: readonly Trait[] = [
  { name: 'a dirty log', with: { logDirtyPages: true } },
  made('more slots', (ctx, vm) => {
    for (let slot = 1; slot < 5; slot++) {
      const memory = ctx.own(GuestMemory.allocate(4 << 20));
      vm.setMemory({ slot, guestPhysAddr: 0x1000_0000 * slot, memory, readonly: slot === 4 });
    }
  }),
  made('an ioeventfd', (ctx, vm) => vm.assignIoeventfd(ctx.own(EventFd.create()), { address: 0xc000_0000, length: 4 })),
  made('coalesced MMIO', (_, vm) => vm.registerCoalesced({ address: 0xc100_0000, size: 4096 })),
  made('routes and an irqfd', (ctx, vm) => {
    vm.setGsiRouting(GSIS.map((gsi) => ({ type: 'msi', addressLo: 0xfee0_0000, data: 0x4071, gsi })));
    vm.assignIrqfd(ctx.own(EventFd.create()), 5);
  }),
  made('a PIT', (_, vm) => vm.createPit2(), isFull),
  early('32-bit APIC ids', (vm) => vm.enableX2apicApi(3)),
  early('MSR exits', (vm) => vm.enableUserSpaceMsr(7)),
  early('a quirk less', (vm) => vm.enableCap('KVM_CAP_DISABLE_QUIRKS2', [1n << 0n])),
  early('exits disabled', (vm) =>
    vm.enableCap('KVM_CAP_X86_DISABLE_EXITS', [BigInt(vm.checkExtension('KVM_CAP_X86_DISABLE_EXITS') & 6)]),
  ),
  early('an MSR filter', (vm) => vm.setMsrFilter({ ranges: [{ base: 0x1_0000, count: 8 }] })),
  msr('kvmclock', MSR_KVM.clock, page(0)),
  msr('steal time', MSR_KVM.stealTime, page(0, 0x100)),
  msr('PV EOI', MSR_KVM.pvEoi, page(0, 0x200)),
  msr('asynchronous page faults', MSR_KVM.asyncPf, page(0, 0x400)),
  msr('an adjusted TSC', IA32_TSC_ADJUST, 0x1000n),
  // Hyper-V TLFS, 2.4, 3.5, 7.8.7, 11.3 and 12.4
  msr("Hyper-V's OS id", 0x4000_0000, 0x8100_0000_0001_0000n, isHyperv),
  // After the OS id, without which it stays off.
  msr("Hyper-V's hypercall page", 0x4000_0001, page(1), isHyperv),
  msr("Hyper-V's reference TSC", 0x4000_0021, page(2), isHyperv),
  msr("Hyper-V's assist page", 0x4000_0073, page(3), isHyperv),
  {
    name: "Hyper-V's SynIC",
    with: { vcpu: (vcpu) => vcpu.enableCap('KVM_CAP_HYPERV_SYNIC2') },
    fits: isHyperv,
  },
];

/** A VM with these beside what it has: their acts come after its own. */
export function withTraits(options: StandOptions, some: readonly Trait[]): StandOptions {
  const all = [options, ...some.map((trait) => trait.with)];
  const each = <K extends 'early' | 'made' | 'vcpu'>(key: K) => all.flatMap((one) => one[key] ?? []);
  const [earlies, mades, vcpus] = [each('early'), each('made'), each('vcpu')];
  return {
    ...Object.assign({}, ...some.map((trait) => trait.with)),
    ...options,
    logDirtyPages: all.some(({ logDirtyPages }) => logDirtyPages),
    early(vm) {
      for (const act of earlies) act(vm);
    },
    made(ctx, vm) {
      for (const act of mades) act(ctx, vm);
    },
    vcpu(vcpu) {
      for (const act of vcpus) act(vcpu);
    },
  };
}

/** Half of those that fit. */
export const drawTraits = (random: Random, options: StandOptions): Trait[] =>
  traits.filter(({ fits }) => (fits?.(options) ?? true) && random.integer(0, 1) === 1);
