/** CPUID as each vCPU of a VM shows it. */
import type { KvmCpuidEntry2 } from '../abi/kvm/index.ts';
import type { Cpuid } from './cpuid.ts';

/**
 * CPUID as one vCPU shows it: with its own APIC id wherever a leaf tells it. Source: Intel SDM volume 2, CPUID, leaves 1,
 * 0xb and 0x1f; AMD APM volume 3, Fn8000_001E.
 */
export function withApicId(cpuid: Cpuid, id: number): KvmCpuidEntry2[] {
  return cpuid.map((entry) => {
    switch (entry.function) {
      case 1:
        return { ...entry, ebx: ((entry.ebx & 0x00ff_ffff) | (id << 24)) >>> 0 };
      case 0xb:
      case 0x1f:
        return { ...entry, edx: id };
      case 0x8000_001e:
        return { ...entry, eax: id };
      default:
        return entry;
    }
  });
}
