/** CPUID leaves: which a guest sees, and how to hide some. */
import { encodeCpuid2, type KvmCpuidEntry2, kvmCpuid2, kvmCpuidEntry2 } from '../abi/kvm/index.ts';
import { integer, listOf, ownKeys, shape } from '../base/shape.ts';

/** CPUID leaves: what `kvm.supportedCpuid()` gives and `vcpu.setCpuid2()` takes. */
export type Cpuid = readonly KvmCpuidEntry2[];

/** As many as the kernel takes (KVM_MAX_CPUID_ENTRIES). */
export const MAX_CPUID_ENTRIES = 256;

/** Leaf 1, ECX bit 21: x2APIC. Source: Intel SDM volume 2, CPUID. */
const X2APIC = 1 << 21;
/** Leaf 1, ECX bit 24: TSC-deadline mode of the local APIC's timer. */
const DEADLINE_TIMER = 1 << 24;
/** KVM's features, EAX. Source: Documentation/virt/kvm/x86/cpuid.rst. */
const KVM_CPUID_FEATURES = 0x4000_0001;
const KVM_FEATURE_PV_SEND_IPI = 1 << 11;

/** Without the x2APIC: a guest stays in xAPIC mode, whose ICR is memory (0xfee00300) and not an MSR. */
export function hideX2apic(cpuid: Cpuid): KvmCpuidEntry2[] {
  return checkCpuid('cpuid', cpuid).map((entry) =>
    entry.function === 1 ? { ...entry, ecx: (entry.ecx & ~X2APIC) >>> 0 } : entry,
  );
}

/**
 * With TSC-deadline mode of the local APIC's timer: KVM has it, and leaves it to user space to say so. Source: Intel SDM volume 3,
 * "TSC-Deadline Mode"; Documentation/virt/kvm/api.rst, KVM_GET_SUPPORTED_CPUID.
 */
export function showTscDeadline(cpuid: Cpuid): KvmCpuidEntry2[] {
  return checkCpuid('cpuid', cpuid).map((entry) =>
    entry.function === 1 ? { ...entry, ecx: (entry.ecx | DEADLINE_TIMER) >>> 0 } : entry,
  );
}

/** Without KVM_FEATURE_PV_SEND_IPI: a guest sends its IPIs by the ICR and not by a hypercall. */
export function hidePvIpi(cpuid: Cpuid): KvmCpuidEntry2[] {
  return checkCpuid('cpuid', cpuid).map((entry) =>
    entry.function === KVM_CPUID_FEATURES ? { ...entry, eax: (entry.eax & ~KVM_FEATURE_PV_SEND_IPI) >>> 0 } : entry,
  );
}

/** Hypervisors' leaves are looked for at each multiple of this from 0x40000000 on. */
const HYPERVISOR_LEAVES = 0x100;
const HYPERVISOR_BASE = 0x4000_0000;

/**
 * With Hyper-V's interface: its leaves stand where a guest looks first, KVM's own move to 0x40000100. KVM gives such a
 * guest Hyper-V's MSRs and hypercalls.
 *
 * @param hyperv what `kvm.supportedHvCpuid()` gives
 */
export function hypervCpuid(cpuid: Cpuid, hyperv: Cpuid): KvmCpuidEntry2[] {
  const isFirst = ({ function: leaf }: KvmCpuidEntry2) =>
    leaf >= HYPERVISOR_BASE && leaf < HYPERVISOR_BASE + HYPERVISOR_LEAVES;
  const own = checkCpuid('cpuid', cpuid).map((entry) => {
    if (!isFirst(entry)) return entry;
    const moved = { ...entry, function: entry.function + HYPERVISOR_LEAVES };
    // The first one tells the last; 0 stands for the one after it.
    if (entry.function === HYPERVISOR_BASE) moved.eax = (entry.eax || HYPERVISOR_BASE + 1) + HYPERVISOR_LEAVES;
    return moved;
  });
  return [...own, ...checkCpuid('hyperv', hyperv)];
}

/** The entry of a leaf and, where the leaf has some, a subleaf; `undefined` if the list lacks it. */
export function cpuidEntry(cpuid: Cpuid, leaf: number, subleaf = 0): KvmCpuidEntry2 | undefined {
  const entries = checkCpuid('cpuid', cpuid).filter((entry) => entry.function === leaf);
  return entries.find(({ flags, index }) => (flags & 1) === 0 || index === subleaf);
}

const u32 = integer(0, 0xffff_ffff);
const cpuidList = listOf(
  shape<KvmCpuidEntry2>('an entry of CPUID has', {
    function: u32,
    index: u32,
    flags: u32,
    eax: u32,
    ebx: u32,
    ecx: u32,
    edx: u32,
  }),
  MAX_CPUID_ENTRIES,
);

/** CPUID leaves, each whole; otherwise throws `ArgumentError` for `argument`. */
export function checkCpuid(argument: string, cpuid: Cpuid): Cpuid {
  return cpuidList(argument, cpuid);
}

const fields = Object.entries(kvmCpuidEntry2.fields) as [keyof KvmCpuidEntry2, { readonly offset: number }][];
const names = fields.map(([name]) => name);

/**
 * The argument of KVM_SET_CPUID2; otherwise throws `ArgumentError` for `argument`. Each vCPU takes such a list: the usual one
 * becomes bytes at once, and what is unusual is checked as everything else is.
 */
export function packCpuid(argument: string, cpuid: Cpuid): Uint8Array<ArrayBuffer> {
  return usualCpuid(cpuid) ?? encodeCpuid2(checkCpuid(argument, cpuid));
}

function usualCpuid(cpuid: Cpuid): Uint8Array<ArrayBuffer> | null {
  if (!Array.isArray(cpuid)) return null;
  const { length } = cpuid;
  if (length > MAX_CPUID_ENTRIES) return null;
  const packed = new Uint8Array(kvmCpuid2.size + length * kvmCpuidEntry2.size);
  const view = new DataView(packed.buffer);
  view.setUint32(kvmCpuid2.fields.nent.offset, length, true);
  for (let index = 0; index < length; index++) {
    const entry: unknown = cpuid[index];
    if (typeof entry !== 'object' || entry === null) return null;
    if (ownKeys(entry, names)?.length !== names.length) return null;
    const at = kvmCpuid2.size + index * kvmCpuidEntry2.size;
    for (const [name, { offset }] of fields) {
      const value = (entry as KvmCpuidEntry2)[name];
      if (typeof value !== 'number' || value >>> 0 !== value) return null;
      view.setUint32(at + offset, value, true);
    }
  }
  return packed;
}
