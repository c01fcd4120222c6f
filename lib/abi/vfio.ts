/**
 * The attributes of KVM's VFIO device, and what of VFIO's own interface goes with them. Sources:
 * include/uapi/linux/kvm.h, include/uapi/linux/vfio.h, Documentation/virt/kvm/devices/vfio.rst; for the group
 * KVM_DEV_VFIO_DEVICE "[PATCH v3 4/8] KVM: kvm-vfio: User API for IRQ forwarding" (2014), which was never merged.
 */
import { type LayoutValue, layout, u32 } from './layout.ts';

/** The group of mainline, formerly KVM_DEV_VFIO_GROUP: the payload is a file descriptor (s32). */
export const KVM_DEV_VFIO_FILE = 1;
export const KVM_DEV_VFIO_FILE_ADD = 1;
export const KVM_DEV_VFIO_FILE_DEL = 2;

/** The group of the patch: the payload is a struct kvm_arch_forwarded_irq. */
export const KVM_DEV_VFIO_DEVICE = 2;
export const KVM_DEV_VFIO_DEVICE_FORWARD_IRQ = 1;
export const KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ = 2;

/** struct kvm_arch_forwarded_irq. `fd` is the VFIO device's; index and subindex are VFIO's; `gsi` is the VM's. */
export const kvmArchForwardedIrq = layout('struct kvm_arch_forwarded_irq', 16, {
  fd: u32(0),
  index: u32(4),
  subindex: u32(8),
  gsi: u32(12),
});
export type KvmArchForwardedIrq = LayoutValue<typeof kvmArchForwardedIrq>;

/** VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU: how a container isolates what its devices do. */
export const vfioIommus = { VFIO_TYPE1_IOMMU: 1, VFIO_TYPE1v2_IOMMU: 3, VFIO_NOIOMMU_IOMMU: 8 } as const;
/** The kernel's name of one of `vfioIommus`. */
export type VfioIommu = keyof typeof vfioIommus;

/** vfio_group_status.flags. */
export const VFIO_GROUP_FLAGS_VIABLE = 1;
export const VFIO_GROUP_FLAGS_CONTAINER_SET = 2;

/** vfio_device_info.flags. */
export const VFIO_DEVICE_FLAGS_RESET = 1;
export const VFIO_DEVICE_FLAGS_PCI = 2;

/** The IRQs of a PCI function, by index. */
export const vfioPciIrqs = {
  VFIO_PCI_INTX_IRQ_INDEX: 0,
  VFIO_PCI_MSI_IRQ_INDEX: 1,
  VFIO_PCI_MSIX_IRQ_INDEX: 2,
  VFIO_PCI_ERR_IRQ_INDEX: 3,
  VFIO_PCI_REQ_IRQ_INDEX: 4,
} as const;

/** The last BAR's region; the others are 0 to 4. */
export const VFIO_PCI_BAR5_REGION_INDEX = 5;
export const VFIO_PCI_CONFIG_REGION_INDEX = 7;

/** vfio_irq_info.flags. */
export const VFIO_IRQ_INFO_EVENTFD = 1;
export const VFIO_IRQ_INFO_MASKABLE = 2;
export const VFIO_IRQ_INFO_AUTOMASKED = 4;

/** vfio_irq_set.flags: what is done to the IRQs. */
export const VFIO_IRQ_SET_ACTION_MASK = 8;
export const VFIO_IRQ_SET_ACTION_UNMASK = 16;
export const VFIO_IRQ_SET_ACTION_TRIGGER = 32;
