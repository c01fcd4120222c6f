import { readFileSync } from 'node:fs';
import { KVM_GUESTDBG_BLOCKIRQ, KVM_GUESTDBG_ENABLE } from './abi/x86.ts';
import type { Vm } from './vm.ts';

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

/** The host's setting; `null` where neither kvm_intel nor kvm_amd tells. */
export function apicvParameter(): ApicvParameter | null {
  for (const parameter of ['kvm_intel/parameters/enable_apicv', 'kvm_amd/parameters/avic'] as const) {
    try {
      const text = readFileSync(`/sys/module/${parameter}`, 'ascii').trim();
      return { parameter, enabled: text === 'Y' || text === '1' };
    } catch {
      // The other vendor's module, or none.
    }
  }
  return null;
}

/** APIC_BASE bit 11: the APIC is enabled. */
const APIC_BASE_ENABLE = 1n << 11n;

/**
 * Makes KVM handle every LAPIC access of this VM in software, whatever the host's module says, and changes nothing on
 * the host: a vCPU under KVM_GUESTDBG_BLOCKIRQ inhibits APICv for its whole VM. That vCPU never runs, and its APIC is
 * off, so that no IPI finds it.
 *
 * @param vcpuId an id that the guest does not use
 * @returns false if the kernel cannot (KVM_CAP_SET_GUEST_DEBUG2 without BLOCKIRQ: before 5.17)
 */
export function inhibitApicv(vm: Vm, vcpuId: number): boolean {
  if ((vm.checkExtension('KVM_CAP_SET_GUEST_DEBUG2') & KVM_GUESTDBG_BLOCKIRQ) === 0) return false;
  const parked = vm.createVcpu(vcpuId);
  const sregs = parked.getSregs();
  parked.setSregs({ ...sregs, apicBase: sregs.apicBase & ~APIC_BASE_ENABLE });
  parked.setGuestDebug({ control: KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_BLOCKIRQ });
  return true;
}
