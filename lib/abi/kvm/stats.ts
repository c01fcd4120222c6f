/** What a stats fd reads: header, id, descriptors, data. Source: include/uapi/linux/kvm.h, "Statistics data". */
import { type LayoutValue, layout, s16, u16, u32 } from '../layout.ts';

/** struct kvm_stats_desc, without the name behind it (kvm_stats_header.nameSize bytes). `offset` is in the data. */
export const kvmStatsDesc = layout('struct kvm_stats_desc', 16, {
  flags: u32(0),
  exponent: s16(4),
  size: u16(6),
  offset: u32(8),
  bucketSize: u32(12),
});
export type KvmStatsDesc = LayoutValue<typeof kvmStatsDesc>;

/** kvm_stats_desc.flags, bits 3:0. */
export const statTypes = ['cumulative', 'instant', 'peak', 'linearHist', 'logHist'] as const;
/** kvm_stats_desc.flags, bits 7:4. */
export const statUnits = ['none', 'bytes', 'seconds', 'cycles', 'boolean'] as const;
/** kvm_stats_desc.flags, bits 11:8: the base of `exponent`. */
export const statBases = [10, 2] as const;
