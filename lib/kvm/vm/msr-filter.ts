/** KVM_X86_SET_MSR_FILTER: which MSRs a VM's guests may use. */
import {
  KVM_MSR_FILTER_DEFAULT_DENY,
  KVM_MSR_FILTER_MAX_BITMAP_SIZE,
  KVM_MSR_FILTER_MAX_RANGES,
  KVM_MSR_FILTER_READ,
  KVM_MSR_FILTER_WRITE,
  kvmMsrFilter,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInteger } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { boolean, integer, listOf, optional, shape } from '../../base/shape.ts';
import type { KernelCalls } from '../handle.ts';
import type { NativeVm } from '../native.ts';

/** MSRs that a guest may or may not use: one range of KVM_X86_SET_MSR_FILTER. */
export interface MsrFilterRange {
  /** The first MSR. A range within 0x800 to 0x8ff, the x2APIC's, is refused: KVM does not filter those. */
  base: number;
  /** How many from there: 1 to 12288. */
  count: number;
  /** The filter is for reads. Default true. */
  read?: boolean;
  /** The filter is for writes. Default true. */
  write?: boolean;
  /** Those of the range that the guest may use; the others are denied. Default none. */
  allow?: readonly number[];
}

/** Which MSRs a VM's guests may use: KVM_X86_SET_MSR_FILTER. */
export interface MsrFilter {
  /** What happens to MSRs outside the ranges. Default true: allowed. */
  defaultAllow?: boolean;
  /** At most 16; with none, and `defaultAllow`, the filter is off. */
  ranges?: readonly MsrFilterRange[];
}

const filterRange = shape<MsrFilterRange>('a range of MSRs takes', {
  base: integer(0, 0xffff_ffff),
  count: integer(1, KVM_MSR_FILTER_MAX_BITMAP_SIZE * 8),
  read: optional(boolean),
  write: optional(boolean),
  allow: optional(listOf(integer(0, 0xffff_ffff))),
});
const msrFilter = shape<MsrFilter>('setMsrFilter() takes', {
  defaultAllow: optional(boolean),
  ranges: optional(listOf(filterRange, KVM_MSR_FILTER_MAX_RANGES)),
});

export function setMsrFilter(calls: KernelCalls<NativeVm>, filter: MsrFilter): void {
  const { ranges = [], defaultAllow = true } = msrFilter.take(filter, 'filter');
  ranges.forEach(refuseX2apic);
  const bitmaps = ranges.map(filterBitmap);
  const argument = kvmMsrFilter.encode({
    flags: defaultAllow ? 0 : KVM_MSR_FILTER_DEFAULT_DENY,
    ranges: ranges.map(({ base, count, read = true, write = true }) => ({
      flags: (read ? KVM_MSR_FILTER_READ : 0) | (write ? KVM_MSR_FILTER_WRITE : 0),
      base,
      nmsrs: count,
      bitmap: 0n,
    })),
  });
  calls.call(ioctls.KVM_X86_SET_MSR_FILTER, (native) => native.setMsrFilter(argument, Buffer.concat(bitmaps)));
}

/** Source: Documentation/virt/kvm/api.rst 4.97, KVM_X86_SET_MSR_FILTER: accesses to the x2APIC's MSRs are not filtered. */
function refuseX2apic({ base, count }: MsrFilterRange, index: number): void {
  if (base < 0x800 || base + count > 0x900) return;
  throw new ArgumentError(
    `filter.ranges[${index}]`,
    `KVM filters no access to the x2APIC's MSRs (0x800 to 0x8ff): ranges[${index}] would have no effect`,
    'Leave it out. Without x2APIC in its CPUID a guest has none of them: hideX2apic().',
  );
}

/** A bit for each MSR of the range: 1 allows it. */
function filterBitmap(range: MsrFilterRange): Uint8Array {
  const { base, count, read = true, write = true, allow = [] } = range;
  if (!read && !write)
    throw new ArgumentError('ranges', 'A range filters neither reads nor writes', 'Set read, write, or both.');
  const bitmap = new Uint8Array(Math.ceil(count / 64) * 8);
  for (const index of allow) {
    const bit = checkInteger('allow', index, base, base + count - 1) - base;
    bitmap[bit >> 3]! |= 1 << (bit & 7);
  }
  return bitmap;
}
