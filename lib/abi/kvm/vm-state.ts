/** Memory, devices and clock of a VM. Source: include/uapi/linux/kvm.h. */
import { array, bytes, type LayoutValue, layout, s32, u32, u64 } from '../layout.ts';

/** kvm_userspace_memory_region.flags. */
export const KVM_MEM_LOG_DIRTY_PAGES = 1;
export const KVM_MEM_READONLY = 2;
export const KVM_MEM_GUEST_MEMFD = 4;

/** struct kvm_userspace_memory_region: KVM_SET_USER_MEMORY_REGION. Sizes in bytes; a size of 0 deletes the slot. */
export const kvmUserspaceMemoryRegion = layout('struct kvm_userspace_memory_region', 32, {
  slot: u32(0),
  flags: u32(4),
  guestPhysAddr: u64(8),
  memorySize: u64(16),
  userspaceAddr: u64(24),
});
export type KvmUserspaceMemoryRegion = LayoutValue<typeof kvmUserspaceMemoryRegion>;

/** struct kvm_userspace_memory_region2: KVM_SET_USER_MEMORY_REGION2. */
export const kvmUserspaceMemoryRegion2 = layout('struct kvm_userspace_memory_region2', 160, {
  slot: u32(0),
  flags: u32(4),
  guestPhysAddr: u64(8),
  memorySize: u64(16),
  userspaceAddr: u64(24),
  guestMemfdOffset: u64(32),
  guestMemfd: u32(40),
});
export type KvmUserspaceMemoryRegion2 = LayoutValue<typeof kvmUserspaceMemoryRegion2>;

/** struct kvm_dirty_log: KVM_GET_DIRTY_LOG. `dirtyBitmap` is the address of a bitmap, one bit per page. */
export const kvmDirtyLog = layout('struct kvm_dirty_log', 16, { slot: u32(0), dirtyBitmap: u64(8) });
export type KvmDirtyLog = LayoutValue<typeof kvmDirtyLog>;

/** struct kvm_clear_dirty_log: KVM_CLEAR_DIRTY_LOG. */
export const kvmClearDirtyLog = layout('struct kvm_clear_dirty_log', 24, {
  slot: u32(0),
  numPages: u32(4),
  firstPage: u64(8),
  dirtyBitmap: u64(16),
});
export type KvmClearDirtyLog = LayoutValue<typeof kvmClearDirtyLog>;

/** struct kvm_coalesced_mmio_zone: KVM_REGISTER_COALESCED_MMIO; `pio` 1 for ports. */
export const kvmCoalescedMmioZone = layout('struct kvm_coalesced_mmio_zone', 16, {
  addr: u64(0),
  size: u32(8),
  pio: u32(12),
});
export type KvmCoalescedMmioZone = LayoutValue<typeof kvmCoalescedMmioZone>;

/** struct kvm_coalesced_mmio: one write in the ring. */
export const kvmCoalescedMmio = layout('struct kvm_coalesced_mmio', 24, {
  physAddr: u64(0),
  len: u32(8),
  pio: u32(12),
  data: bytes(16, 8),
});
export type KvmCoalescedMmio = LayoutValue<typeof kvmCoalescedMmio>;

/** struct kvm_coalesced_mmio_ring: the ring's head, at page KVM_COALESCED_MMIO_PAGE_OFFSET of a vCPU's mapping. */
export const kvmCoalescedMmioRing = layout('struct kvm_coalesced_mmio_ring', 8, { first: u32(0), last: u32(4) });

/** Pages of a vCPU's mapping behind kvm_run (page 0). */
export const KVM_PIO_PAGE_OFFSET = 1;
export const KVM_COALESCED_MMIO_PAGE_OFFSET = 2;
export const KVM_DIRTY_LOG_PAGE_OFFSET = 64;

/** struct kvm_ioeventfd: KVM_IOEVENTFD. `len` 1, 2, 4 or 8 bytes, or 0 for any. */
export const kvmIoeventfd = layout('struct kvm_ioeventfd', 64, {
  datamatch: u64(0),
  addr: u64(8),
  len: u32(16),
  fd: s32(20),
  flags: u32(24),
});
export type KvmIoeventfd = LayoutValue<typeof kvmIoeventfd>;

/** kvm_ioeventfd.flags. */
export const KVM_IOEVENTFD_FLAG_DATAMATCH = 1;
export const KVM_IOEVENTFD_FLAG_PIO = 2;
export const KVM_IOEVENTFD_FLAG_DEASSIGN = 4;

/** struct kvm_enable_cap: KVM_ENABLE_CAP, on a VM or a vCPU. */
export const kvmEnableCap = layout('struct kvm_enable_cap', 104, {
  cap: u32(0),
  flags: u32(4),
  args: array(u64, 8, 4),
});
export type KvmEnableCap = LayoutValue<typeof kvmEnableCap>;

/** struct kvm_clock_data: KVM_GET_CLOCK, KVM_SET_CLOCK. Times in ns; `hostTsc` in TSC cycles. */
export const kvmClockData = layout('struct kvm_clock_data', 48, {
  clock: u64(0),
  flags: u32(8),
  realtime: u64(16),
  hostTsc: u64(24),
});
/** The kvmclock of a VM, in ns: struct kvm_clock_data, decoded. */
export type KvmClockData = LayoutValue<typeof kvmClockData>;

/** struct kvm_create_device: KVM_CREATE_DEVICE; out: `fd`. */
export const kvmCreateDevice = layout('struct kvm_create_device', 12, { type: u32(0), fd: u32(4), flags: u32(8) });
export type KvmCreateDevice = LayoutValue<typeof kvmCreateDevice>;

/** kvm_create_device.flags: ask whether the type exists, create nothing. */
export const KVM_CREATE_DEVICE_TEST = 1;
/** kvm_create_device.type: the kvm-vfio device. */
export const KVM_DEV_TYPE_VFIO = 4;

/** struct kvm_device_attr: KVM_SET_DEVICE_ATTR, KVM_GET_DEVICE_ATTR, KVM_HAS_DEVICE_ATTR. `addr` is an address. */
export const kvmDeviceAttr = layout('struct kvm_device_attr', 24, {
  flags: u32(0),
  group: u32(4),
  attr: u64(8),
  addr: u64(16),
});
export type KvmDeviceAttr = LayoutValue<typeof kvmDeviceAttr>;

/** struct kvm_stats_header: the head of what a stats fd (KVM_GET_STATS_FD) reads. */
export const kvmStatsHeader = layout('struct kvm_stats_header', 24, {
  flags: u32(0),
  nameSize: u32(4),
  numDesc: u32(8),
  idOffset: u32(12),
  descOffset: u32(16),
  dataOffset: u32(20),
});
export type KvmStatsHeader = LayoutValue<typeof kvmStatsHeader>;
