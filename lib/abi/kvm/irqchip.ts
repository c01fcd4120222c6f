/** Interrupt controllers and interrupt lines of a VM. Source: include/uapi/linux/kvm.h, arch/x86/.../asm/kvm.h. */
import {
  array,
  bytes,
  decodeList,
  encodeList,
  type LayoutValue,
  layout,
  s64,
  structArray,
  u8,
  u16,
  u32,
  u64,
} from '../layout.ts';

/** kvm_irqchip.chip_id. */
export const KVM_IRQCHIP_PIC_MASTER = 0;
export const KVM_IRQCHIP_PIC_SLAVE = 1;
export const KVM_IRQCHIP_IOAPIC = 2;
export const KVM_IOAPIC_NUM_PINS = 24;

/** struct kvm_irqchip: KVM_GET_IRQCHIP, KVM_SET_IRQCHIP; `chip` is a kvm_pic_state or a kvm_ioapic_state. */
export const kvmIrqchip = layout('struct kvm_irqchip', 520, { chipId: u32(0), chip: bytes(8, 512) });
export type KvmIrqchip = LayoutValue<typeof kvmIrqchip>;

/** struct kvm_pic_state: one 8259. */
export const kvmPicState = layout('struct kvm_pic_state', 16, {
  lastIrr: u8(0),
  irr: u8(1),
  imr: u8(2),
  isr: u8(3),
  priorityAdd: u8(4),
  irqBase: u8(5),
  readRegSelect: u8(6),
  poll: u8(7),
  specialMask: u8(8),
  initState: u8(9),
  autoEoi: u8(10),
  rotateOnAutoEoi: u8(11),
  specialFullyNestedMode: u8(12),
  init4: u8(13),
  elcr: u8(14),
  elcrMask: u8(15),
});
/** One 8259 of the in-kernel irqchip: struct kvm_pic_state, decoded. */
export type KvmPicState = LayoutValue<typeof kvmPicState>;

/** struct kvm_ioapic_state; `redirtbl`: one 64-bit redirection entry for each of 24 pins. */
export const kvmIoapicState = layout('struct kvm_ioapic_state', 216, {
  baseAddress: u64(0),
  ioregsel: u32(8),
  id: u32(12),
  irr: u32(16),
  redirtbl: array(u64, 24, KVM_IOAPIC_NUM_PINS),
});
/** The IOAPIC of the in-kernel irqchip, with 24 redirection entries: struct kvm_ioapic_state, decoded. */
export type KvmIoapicState = LayoutValue<typeof kvmIoapicState>;

/** struct kvm_irq_level: KVM_IRQ_LINE. `irq` is a gsi; KVM_IRQ_LINE_STATUS answers in the same 4 bytes. */
export const kvmIrqLevel = layout('struct kvm_irq_level', 8, { irq: u32(0), level: u32(4) });
export type KvmIrqLevel = LayoutValue<typeof kvmIrqLevel>;

/** struct kvm_msi: KVM_SIGNAL_MSI. */
export const kvmMsi = layout('struct kvm_msi', 32, {
  addressLo: u32(0),
  addressHi: u32(4),
  data: u32(8),
  flags: u32(12),
  devid: u32(16),
});
export type KvmMsi = LayoutValue<typeof kvmMsi>;

/** kvm_irq_routing_entry.type. */
export const KVM_IRQ_ROUTING_IRQCHIP = 1;
export const KVM_IRQ_ROUTING_MSI = 2;
export const KVM_IRQ_ROUTING_HV_SINT = 4;
export const KVM_IRQ_ROUTING_XEN_EVTCHN = 5;

/** struct kvm_irq_routing_hv_sint: `u` of a routing entry of type KVM_IRQ_ROUTING_HV_SINT. `vcpu` is a VP index. */
export const kvmIrqRoutingHvSint = layout('struct kvm_irq_routing_hv_sint', 8, { vcpu: u32(0), sint: u32(4) });

/**
 * struct kvm_irq_routing_entry. `u` is eight 32-bit words whose meaning `type` gives: irqchip {irqchip, pin},
 * msi {addressLo, addressHi, data, devid}, hv_sint {vcpu, sint}, xen_evtchn {port, vcpu, priority}.
 */
export const kvmIrqRoutingEntry = layout('struct kvm_irq_routing_entry', 48, {
  gsi: u32(0),
  type: u32(4),
  flags: u32(8),
  u: array(u32, 16, 8, { cName: 'u.pad' }),
});
export type KvmIrqRoutingEntry = LayoutValue<typeof kvmIrqRoutingEntry>;

/** struct kvm_irq_routing: the head of KVM_SET_GSI_ROUTING's argument; `nr` entries follow. */
export const kvmIrqRouting = layout('struct kvm_irq_routing', 8, { nr: u32(0), flags: u32(4) });

/** KVM_SET_GSI_ROUTING's argument: the head and its entries. */
export function encodeGsiRouting(entries: readonly Partial<KvmIrqRoutingEntry>[]): Uint8Array<ArrayBuffer> {
  return encodeList(kvmIrqRouting, 'nr', kvmIrqRoutingEntry, entries);
}

/** The entries of such an argument. */
export function decodeGsiRouting(buffer: Uint8Array): KvmIrqRoutingEntry[] {
  return decodeList(kvmIrqRouting, 'nr', kvmIrqRoutingEntry, buffer);
}

/** kvm_irqfd.flags. */
export const KVM_IRQFD_FLAG_DEASSIGN = 1;
export const KVM_IRQFD_FLAG_RESAMPLE = 2;

/** struct kvm_irqfd: KVM_IRQFD. */
export const kvmIrqfd = layout('struct kvm_irqfd', 32, { fd: u32(0), gsi: u32(4), flags: u32(8), resamplefd: u32(12) });
export type KvmIrqfd = LayoutValue<typeof kvmIrqfd>;

/** kvm_pit_config.flags: the speaker port is a dummy. */
export const KVM_PIT_SPEAKER_DUMMY = 1;

/** struct kvm_pit_config: KVM_CREATE_PIT2. */
export const kvmPitConfig = layout('struct kvm_pit_config', 64, { flags: u32(0) });
export type KvmPitConfig = LayoutValue<typeof kvmPitConfig>;

/** struct kvm_pit_channel_state: one of the PIT's three channels. `countLoadTime` in ns. */
export const kvmPitChannelState = layout('struct kvm_pit_channel_state', 24, {
  count: u32(0),
  latchedCount: u16(4),
  countLatched: u8(6),
  statusLatched: u8(7),
  status: u8(8),
  readState: u8(9),
  writeState: u8(10),
  writeLatch: u8(11),
  rwMode: u8(12),
  mode: u8(13),
  bcd: u8(14),
  gate: u8(15),
  countLoadTime: s64(16),
});
export type KvmPitChannelState = LayoutValue<typeof kvmPitChannelState>;

/** struct kvm_pit_state2: KVM_GET_PIT2, KVM_SET_PIT2. */
export const kvmPitState2 = layout('struct kvm_pit_state2', 112, {
  channels: structArray(kvmPitChannelState, 0, 3),
  flags: u32(72),
});
/** The three channels of the in-kernel 8254: struct kvm_pit_state2, decoded. */
export type KvmPitState2 = LayoutValue<typeof kvmPitState2>;
