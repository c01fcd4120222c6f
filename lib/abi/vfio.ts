/**
 * Attributes of the kvm-vfio device. Groups 0 and 1 of mainline: Documentation/virt/kvm/devices/vfio.rst. Group 2, interrupts
 * that the kernel forwards to a guest's LAPIC or GIC, is of a series that was not merged.
 */
import { layout, u32 } from './layout.ts';

/** Which files the device holds: the attribute's payload is a file descriptor. */
export const KVM_DEV_VFIO_FILE = 1;
export const KVM_DEV_VFIO_FILE_ADD = 1;
export const KVM_DEV_VFIO_FILE_DEL = 2;

/** Forwarded interrupts. The values of the attributes are concluded from the file's convention. */
export const KVM_DEV_VFIO_DEVICE = 2;
export const KVM_DEV_VFIO_DEVICE_FORWARD_IRQ = 1;
export const KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ = 2;

/** struct kvm_arch_forwarded_irq: the payload of both. `fd` is the VFIO device's. */
export const kvmArchForwardedIrq = layout('struct kvm_arch_forwarded_irq', 16, {
  fd: u32(0),
  index: u32(4),
  subindex: u32(8),
  gsi: u32(12),
});
