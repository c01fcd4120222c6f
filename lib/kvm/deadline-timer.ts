/** TSC-deadline mode in a guest's CPUID. */
import type { Cpuid } from './cpuid.ts';

/** KVM_GET_SUPPORTED_CPUID leaves it to user space, and KVM-AMD and KVM-Intel have it wherever the TSC is good enough. */
export const withDeadlineTimer = (cpuid: Cpuid): Cpuid =>
  cpuid.map((leaf) => (leaf.function === 1 ? { ...leaf, ecx: (leaf.ecx | (1 << 24)) >>> 0 } : leaf));
