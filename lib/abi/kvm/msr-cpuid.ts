/** MSR and CPUID lists. Source: arch/x86/include/uapi/asm/kvm.h. */
import { decodeList, encodeList, type LayoutValue, layout, structArray, u32, u64 } from '../layout.ts';

/** struct kvm_msr_entry: one MSR. */
export const kvmMsrEntry = layout('struct kvm_msr_entry', 16, { index: u32(0), data: u64(8) });
/** A model-specific register and its 64-bit value: struct kvm_msr_entry, decoded. */
export type KvmMsrEntry = LayoutValue<typeof kvmMsrEntry>;

/** struct kvm_msrs: the head of KVM_GET_MSRS' and KVM_SET_MSRS' argument; `nmsrs` entries follow. */
export const kvmMsrs = layout('struct kvm_msrs', 8, { nmsrs: u32(0) });

/** The argument of KVM_GET_MSRS (data 0) or KVM_SET_MSRS. */
export function encodeMsrs(entries: readonly Partial<KvmMsrEntry>[]): Uint8Array<ArrayBuffer> {
  return encodeList(kvmMsrs, 'nmsrs', kvmMsrEntry, entries);
}

/** The entries of such an argument: after KVM_GET_MSRS, the first (return value) of them are valid. */
export function decodeMsrs(buffer: Uint8Array): KvmMsrEntry[] {
  return decodeList(kvmMsrs, 'nmsrs', kvmMsrEntry, buffer);
}

/** struct kvm_msr_list: the head of KVM_GET_MSR_INDEX_LIST's argument; `nmsrs` indices, u32 each, follow. */
export const kvmMsrList = layout('struct kvm_msr_list', 4, { nmsrs: u32(0) });

const msrIndex = layout(null, 4, { index: u32(0) });

/** An empty argument of KVM_GET_MSR_INDEX_LIST with room for `count` indices. */
export function encodeMsrList(count: number): Uint8Array<ArrayBuffer> {
  return encodeList(kvmMsrList, 'nmsrs', msrIndex, new Array(count).fill({}));
}

/** The MSR indices that KVM_GET_MSR_INDEX_LIST returned. */
export function decodeMsrList(buffer: Uint8Array): number[] {
  return decodeList(kvmMsrList, 'nmsrs', msrIndex, buffer).map((entry) => entry.index);
}

/** kvm_msr_filter_range.flags. */
export const KVM_MSR_FILTER_READ = 1;
export const KVM_MSR_FILTER_WRITE = 2;
/** kvm_msr_filter.flags: MSRs outside the ranges are denied. */
export const KVM_MSR_FILTER_DEFAULT_DENY = 1;
export const KVM_MSR_FILTER_MAX_RANGES = 16;
/** Bytes of one range's bitmap at most. */
export const KVM_MSR_FILTER_MAX_BITMAP_SIZE = 0x600;

/** struct kvm_msr_filter_range; `bitmap` is an address, one bit per MSR: 1 allows, 0 denies. */
export const kvmMsrFilterRange = layout('struct kvm_msr_filter_range', 24, {
  flags: u32(0),
  nmsrs: u32(4),
  base: u32(8),
  bitmap: u64(16),
});
export type KvmMsrFilterRange = LayoutValue<typeof kvmMsrFilterRange>;

/** struct kvm_msr_filter: KVM_X86_SET_MSR_FILTER. */
export const kvmMsrFilter = layout('struct kvm_msr_filter', 392, {
  flags: u32(0),
  ranges: structArray(kvmMsrFilterRange, 8, KVM_MSR_FILTER_MAX_RANGES),
});
export type KvmMsrFilter = LayoutValue<typeof kvmMsrFilter>;

/** kvm_cpuid_entry2.flags: `index` counts. */
export const KVM_CPUID_FLAG_SIGNIFCANT_INDEX = 1;

/** struct kvm_cpuid_entry2: one CPUID leaf (`function`) and subleaf (`index`). */
export const kvmCpuidEntry2 = layout('struct kvm_cpuid_entry2', 40, {
  function: u32(0),
  index: u32(4),
  flags: u32(8),
  eax: u32(12),
  ebx: u32(16),
  ecx: u32(20),
  edx: u32(24),
});
/** What CPUID answers for a leaf and a subleaf: struct kvm_cpuid_entry2, decoded. */
export type KvmCpuidEntry2 = LayoutValue<typeof kvmCpuidEntry2>;

/** struct kvm_cpuid2: the head of KVM_SET_CPUID2's and KVM_GET_SUPPORTED_CPUID's argument; `nent` entries follow. */
export const kvmCpuid2 = layout('struct kvm_cpuid2', 8, { nent: u32(0) });

/** The room for so many entries that KVM_GET_SUPPORTED_CPUID and KVM_GET_CPUID2 fill. */
export function cpuid2Room(count: number): Uint8Array<ArrayBuffer> {
  const room = new Uint8Array(kvmCpuid2.size + count * kvmCpuidEntry2.size);
  kvmCpuid2.write(new DataView(room.buffer), { nent: count });
  return room;
}

/** The argument of KVM_SET_CPUID2. */
export function encodeCpuid2(entries: readonly Partial<KvmCpuidEntry2>[]): Uint8Array<ArrayBuffer> {
  return encodeList(kvmCpuid2, 'nent', kvmCpuidEntry2, entries);
}

/** The entries of such an argument. */
export function decodeCpuid2(buffer: Uint8Array): KvmCpuidEntry2[] {
  return decodeList(kvmCpuid2, 'nent', kvmCpuidEntry2, buffer);
}
