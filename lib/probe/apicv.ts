import { readFileSync } from 'node:fs';
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE } from '../abi/apic/msr.ts';
import { KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE } from '../abi/kvm/index.ts';
import { checkChoice, checkInstance, checkObject } from '../base/check.ts';
import { flat32, out8, read32 } from '../guest/bytes.ts';
import { enterFlat32 } from '../guest/enter-flat32.ts';
import { GuestMemory, PAGE_SIZE } from '../kvm/guest-memory.ts';
import { Kvm } from '../kvm/kvm.ts';
import { TSS_ADDRESS, Vm } from '../kvm/vm/vm.ts';

/**
 * APICv (Intel) and AVIC (AMD) let the CPU handle a guest's ICR writes. A kernel of the series then sees none of them:
 * they do not come by the path that it hooks.
 */
export interface ApicvParameter {
  /** The module parameter's path below /sys/module. */
  parameter: 'kvm_intel/parameters/enable_apicv' | 'kvm_amd/parameters/avic';
  /** What the host's module says now. */
  enabled: boolean;
}

const parameters: readonly ApicvParameter['parameter'][] = [
  'kvm_intel/parameters/enable_apicv',
  'kvm_amd/parameters/avic',
];

/** The host's setting; `null` where neither kvm_intel nor kvm_amd tells. */
export function apicvParameter(): ApicvParameter | null {
  for (const parameter of parameters) {
    try {
      const text = readFileSync(`/sys/module/${parameter}`, 'ascii').trim();
      return { parameter, enabled: text === 'Y' || text === '1' };
    } catch {
      // The other vendor's module, or none.
    }
  }
  return null;
}

/**
 * Makes KVM handle every LAPIC access of this VM in software, whatever the host's module says, and changes nothing on
 * the host: a vCPU under KVM_GUESTDBG_BLOCKIRQ inhibits APICv for its whole VM. That vCPU never runs, and its APIC is
 * off, so that no IPI finds it.
 *
 * @param vcpuId an id that the guest does not use
 * @returns false if the kernel cannot (KVM_CAP_SET_GUEST_DEBUG2 without BLOCKIRQ: before 5.17)
 */
export function inhibitApicv(vm: Vm, vcpuId: number): boolean {
  checkInstance('vm', vm, Vm);
  if ((vm.checkExtension('KVM_CAP_SET_GUEST_DEBUG2') & KVM_GUESTDBG_BLOCKIRQ) === 0) return false;
  const parked = vm.createVcpu(vcpuId);
  const sregs = parked.getSregs();
  parked.setSregs({ ...sregs, apicBase: sregs.apicBase & ~APIC_BASE_ENABLE });
  parked.setGuestDebug({ control: KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ });
  return true;
}

/** Whether a VM's guests have APICv (or AVIC), and how far that can be relied on. */
export interface ApicvState {
  active: boolean;
  /** True: it was measured, or there is nothing that could make it active. False: a conclusion that may be wrong. */
  certain: boolean;
  /** What it was concluded from, for a person. */
  because: string;
}

/**
 * Whether APICv is active for this VM. No kernel has a call that tells: this concludes it from the VM's irqchip, the
 * module's parameter, and the inhibit of `inhibitApicv`. KVM inhibits APICv for other reasons too, none of which it
 * shows, so that `active: true` is never certain; `measureApicv` finds out by behaviour, in a VM of its own.
 *
 * @throws ArgumentError
 */
export function apicvState(vm: Vm, parameter: ApicvParameter | null = apicvParameter()): ApicvState {
  checkInstance('vm', vm, Vm);
  if (parameter !== null) checkChoice('parameter.parameter', checkObject('parameter', parameter).parameter, parameters);
  if (vm.irqchip === 'none')
    return { active: false, certain: true, because: 'the VM has no in-kernel LAPIC that a CPU could virtualize' };
  if (parameter === null)
    return { active: false, certain: false, because: 'neither kvm_intel nor kvm_amd, which alone have it, is loaded' };
  if (!parameter.enabled) return { active: false, certain: true, because: `${parameter.parameter} is off` };
  for (const vcpu of vm.vcpus.values())
    if ((vcpu.guestDebug.control ?? 0) & KVM_GUESTDBG_BLOCKIRQ)
      return { active: false, certain: true, because: `vCPU ${vcpu.vcpuId} is under KVM_GUESTDBG_BLOCKIRQ` };
  return { active: true, certain: false, because: `${parameter.parameter} is on, and no inhibit is known` };
}

/** How often the probe's guest touches its LAPIC: far more than anything else of it is emulated. */
const TOUCHES = 200;

/**
 * Finds out by behaviour whether a VM of this host has APICv: a guest reads its LDR 200 times, and the vCPU's statistics
 * tell how many instructions KVM had to emulate. With APICv the CPU answers these reads.
 *
 * @param options.inhibit first call `inhibitApicv` on the VM. Default false
 * @returns `null` if the kernel keeps no such statistics (KVM_CAP_BINARY_STATS_FD, Linux 5.14)
 * @throws what `forwardsIcrWrites` throws
 */
export function measureApicv(kvm: Kvm, options: { inhibit?: boolean } = {}): ApicvState | null {
  checkInstance('kvm', kvm, Kvm);
  checkObject('options', options);
  if (kvm.checkExtension('KVM_CAP_BINARY_STATS_FD') === 0) return null;
  using vm = kvm.createVm();
  using memory = GuestMemory.allocate(4 * PAGE_SIZE);
  if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(TSS_ADDRESS);
  vm.createIrqchip();
  vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
  const vcpu = vm.createVcpu(0);
  if (options.inhibit) inhibitApicv(vm, 1);
  const touch = read32(APIC_DEFAULT_PHYS_BASE + lapicRegisters.LDR);
  memory.write(PAGE_SIZE, flat32(...new Array(TOUCHES).fill(touch), out8(0x10)).bytes);
  enterFlat32(vcpu, { rip: PAGE_SIZE, rsp: PAGE_SIZE, interrupts: true });
  vcpu.run({ deadline: '20s' });
  const emulated = vcpu.stats().get('insn_emulation')?.values[0];
  if (emulated === undefined) return null;
  const active = emulated < TOUCHES / 2;
  return { active, certain: true, because: `KVM emulated ${emulated} instructions for ${TOUCHES} reads of the LAPIC` };
}
