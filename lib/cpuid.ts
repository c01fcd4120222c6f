import type { KvmCpuidEntry2 } from './abi/x86.ts';
import { checkList, checkObject } from './check.ts';

/** CPUID leaves: what `kvm.supportedCpuid()` gives and `vcpu.setCpuid2()` takes. */
export type Cpuid = readonly KvmCpuidEntry2[];

/** Leaf 1, ECX bit 21: x2APIC. Source: Intel SDM volume 2, CPUID. */
const X2APIC = 1 << 21;
/** KVM's features, EAX. Source: Documentation/virt/kvm/x86/cpuid.rst. */
const KVM_CPUID_FEATURES = 0x4000_0001;
const KVM_FEATURE_PV_SEND_IPI = 1 << 11;

/** Without the x2APIC: a guest stays in xAPIC mode, whose ICR is memory (0xfee00300) and not an MSR. */
export function hideX2apic(cpuid: Cpuid): KvmCpuidEntry2[] {
  return checked(cpuid).map((entry) => (entry.function === 1 ? { ...entry, ecx: (entry.ecx & ~X2APIC) >>> 0 } : entry));
}

/** Without KVM_FEATURE_PV_SEND_IPI: a guest sends its IPIs by the ICR and not by a hypercall. */
export function hidePvIpi(cpuid: Cpuid): KvmCpuidEntry2[] {
  return checked(cpuid).map((entry) =>
    entry.function === KVM_CPUID_FEATURES ? { ...entry, eax: (entry.eax & ~KVM_FEATURE_PV_SEND_IPI) >>> 0 } : entry,
  );
}

/** The entry of a leaf and, where the leaf has some, a subleaf; `undefined` if the list lacks it. */
export function cpuidEntry(cpuid: Cpuid, leaf: number, subleaf = 0): KvmCpuidEntry2 | undefined {
  const entries = checked(cpuid).filter((entry) => entry.function === leaf);
  return entries.find(({ flags, index }) => (flags & 1) === 0 || index === subleaf);
}

function checked(cpuid: Cpuid): Cpuid {
  for (const entry of checkList('cpuid', cpuid)) checkObject('cpuid', entry);
  return cpuid;
}
