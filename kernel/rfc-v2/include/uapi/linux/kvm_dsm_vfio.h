/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What CONFIG_KVM_DSM_VFIO, which is no part of the DSM series, adds to the VFIO
 * device of <linux/kvm.h>: the attributes of IRQ forwarding, which were proposed
 * for arm in 2014 and never merged. No mainline kernel has the group.
 */
#ifndef _UAPI_LINUX_KVM_DSM_VFIO_H
#define _UAPI_LINUX_KVM_DSM_VFIO_H

#include <linux/types.h>

#define KVM_DEV_VFIO_DEVICE			2
#define KVM_DEV_VFIO_DEVICE_FORWARD_IRQ		1
#define KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ	2

/* kvm_device_attr.addr points to it, for both */
struct kvm_arch_forwarded_irq {
	__u32 fd;	/* of the VFIO device */
	__u32 index;	/* of the IRQ there, and within that index: as in struct vfio_irq_set */
	__u32 subindex;
	__u32 gsi;	/* the interrupt of the virtual machine */
};

#endif /* _UAPI_LINUX_KVM_DSM_VFIO_H */
