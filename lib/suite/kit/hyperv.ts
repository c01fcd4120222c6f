/** Hyper-V's view of the local APIC. Source: Hyper-V TLFS. */
import type { Cpuid } from '../../kvm/cpuid.ts';

export const HV_X64_MSR_ICR = 0x4000_0071;
export const HV_X64_MSR_TPR = 0x4000_0072;

/** Hyper-V's interface in the place of KVM's. Source: Hyper-V TLFS, 2.4. */
export function hypervCpuid(cpuid: Cpuid): Cpuid {
  const HYPERV_CPUID_INTERFACE = 0x4000_0001;
  const signature = 0x3123_7648; // "Hv#1"
  return cpuid.map((entry) => (entry.function === HYPERV_CPUID_INTERFACE ? { ...entry, eax: signature } : entry));
}
