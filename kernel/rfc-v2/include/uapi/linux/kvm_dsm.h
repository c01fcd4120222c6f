/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * User space ABI of KVM's DSM interrupt forwarding, profile "rfc-v2".
 *
 * <linux/kvm.h> of the series hides these behind a Kconfig symbol, which no
 * program outside the kernel can see. This header has no such condition, so the
 * lab kernel and the package's layout tests read the same definitions.
 */
#ifndef _UAPI_LINUX_KVM_DSM_H
#define _UAPI_LINUX_KVM_DSM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* kvm_run.exit_reason; 44, 46 and 47 are reserved: nothing in the series makes them. */
#define KVM_EXIT_DAPIC		44
#define KVM_EXIT_DSM_SEND_IRQ	45
#define KVM_EXIT_DSM_X2_ICR	46
#define KVM_EXIT_DSM_APIC_BASE	47

/* KVM_EXIT_DSM_SEND_IRQ */
struct kvm_dsm_lapic_irq {
	__u32 id;	/* vcpu_id of the vCPU that wrote */
	__u32 val;	/* LAPIC register: 0x300 (ICR) or 0x310 (ICR2) */
	__u32 val2;	/* the 32 bits that it wrote */
	__u32 dest_id;	/* ICR2 bits 31:24 */
};

/* KVM_EXIT_DSM_X2_ICR */
struct kvm_dsm_x2apic {
	__u32 id;
	__u64 data;
};

/* KVM_EXIT_DSM_APIC_BASE */
struct kvm_dsm_x2msr_base {
	__u32 id;
	__u8  host;	/* a C bool */
	__u32 index;
	__u64 data;
};

/* VM ioctls of the injection side */
struct kvm_dsm_ipi_arg {
	__s32 vcpu_id;
	__u32 val;
	__u32 val2;
	__u32 dest_id;
};

struct kvm_dsm_x2apic_arg {
	__s32 vcpu_id;
	__u64 data;
};

struct kvm_dsm_apic_base_arg {
	__s32 vcpu_id;
	__u8  host;	/* a C bool */
	__u32 index;
	__u64 data;
};

#define KVM_DSM_IPI		_IOW(0xAE, 0xf3, struct kvm_dsm_ipi_arg)
#define KVM_DSM_X2APIC		_IOW(0xAE, 0xf4, struct kvm_dsm_x2apic_arg)
#define KVM_DSM_APIC_BASE	_IOW(0xAE, 0xf5, struct kvm_dsm_apic_base_arg)

#endif /* _UAPI_LINUX_KVM_DSM_H */
