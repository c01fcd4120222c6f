/** The VM of a probe: one vCPU, some memory from address 0, and a guest of few instructions. */
import type { DsmProfile } from '../abi/dsm/profiles.ts';
import type { Exit } from '../exit/exit.ts';
import { flat32, type Instruction, out8 } from '../guest/bytes.ts';
import { enterFlat32 } from '../guest/enter-flat32.ts';
import type { Cpuid } from '../kvm/cpuid.ts';
import { GuestMemory, PAGE_SIZE } from '../kvm/guest-memory.ts';
import type { Kvm } from '../kvm/kvm.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { TSS_ADDRESS, type Vm } from '../kvm/vm/vm.ts';
import { inhibitApicv } from './inhibit-apicv.ts';

/** Where a probe's guest leaves. Ports 0x20 and 0x21 belong to the PIC. */
export const PROBE_DONE_PORT = 0x10;
/** What takes longer than this is not going to end. */
const DEADLINE = '20s';

export interface TinyVmOptions {
  /** Of guest memory; the code begins in the second one. */
  pages: number;
  /** Inhibit APICv. */
  inhibit?: boolean;
  /** Default `full`. */
  irqchip?: 'full' | 'split';
  /** vcpu_id of the one vCPU. Default 0. */
  vcpuId?: number;
  /** What the vCPU tells of itself. Default: nothing. */
  cpuid?: Cpuid;
}

/** Makes one with the local APIC in the kernel, for as long as `use` takes. */
export function withTinyVm<T>(
  kvm: Kvm,
  { pages, inhibit = false, irqchip = 'full', vcpuId = 0, cpuid }: TinyVmOptions,
  use: (vm: Vm, vcpu: Vcpu, memory: GuestMemory) => T,
): T {
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(pages * PAGE_SIZE);
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(TSS_ADDRESS);
  if (irqchip === 'full') vm.createIrqchip();
  else vm.enableSplitIrqchip();
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
  const vcpu = vm.createVcpu(vcpuId);
  if (cpuid) vcpu.setCpuid2(cpuid);
  if (inhibit) inhibitApicv(vm, vcpuId + 1);
  return use(vm, vcpu, memory);
}

/** Runs the instructions, and behind them one that leaves by PROBE_DONE_PORT, to the first exit. */
export function runTinyGuest(
  vcpu: Vcpu,
  memory: GuestMemory,
  instructions: readonly Instruction[],
  profile: DsmProfile = vcpu.profile,
): Exit {
  memory.write(PAGE_SIZE, flat32(...instructions, out8(PROBE_DONE_PORT)).bytes);
  enterFlat32(vcpu, { rip: PAGE_SIZE, rsp: PAGE_SIZE, interrupts: true });
  return vcpu.run({ deadline: DEADLINE, profile });
}
