/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What profiles "gvm-main" and "gvm-old" have beside, and in place of, profile
 * "rfc-v2": see <linux/kvm_dsm.h>.
 */
#ifndef _UAPI_LINUX_KVM_DSM_ABI_H
#define _UAPI_LINUX_KVM_DSM_ABI_H

#include <linux/kvm_dsm.h>

/* The shared memory of both */
struct kvm_dsm_params {
	__u32 dsm_id;
	__u32 cluster_iplist_len;
	__u64 cluster_iplist;	/* a pointer */
};

struct kvm_dsm_memcpy {
	__u8  write;	/* a C bool */
	__u64 host_virt_addr;
	__u64 userspace_addr;
	__u64 length;
};

struct kvm_dsm_mempin {
	__u8  write;	/* a C bool */
	__u8  unpin;	/* a C bool */
	__u64 host_virt_addr;
	__u64 length;
};

#define KVM_DSM_ENABLE		_IOW(0xAE, 0xf0, struct kvm_dsm_params)
#define KVM_DSM_MEMCPY		_IOW(0xAE, 0xf1, struct kvm_dsm_memcpy)
#define KVM_DSM_MEMPIN		_IOW(0xAE, 0xf2, struct kvm_dsm_mempin)

/* gvm-old: kvm_run.exit_reason */
#define KVM_EXIT_DSM_SEND_IRQ_OLD	41
#define KVM_EXIT_DSM_X2_ICR_OLD		42
#define KVM_EXIT_DSM_APIC_BASE_OLD	43

struct kvm_dsm_lapic_irq_old {
	__u32 id;
	__u32 val;
	__u32 val2;
};

struct kvm_dsm_ipi_arg_old {
	__s32 vcpu_id;
	__u32 val;
	__u32 val2;
};

#define KVM_DSM_IPI_OLD		_IOW(0xAE, 0xf3, struct kvm_dsm_ipi_arg_old)

#endif /* _UAPI_LINUX_KVM_DSM_ABI_H */
