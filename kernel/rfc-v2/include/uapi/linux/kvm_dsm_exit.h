/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What CONFIG_KVM_DSM_EXIT, which is no part of the series, adds to
 * <linux/kvm_dsm.h>: a payload for the exit that the series reserves without one.
 */
#ifndef _UAPI_LINUX_KVM_DSM_EXIT_H
#define _UAPI_LINUX_KVM_DSM_EXIT_H

#include <linux/types.h>

/* KVM_EXIT_DAPIC, as an ancestor of the series had it */
struct kvm_dsm_dapic {
	__u32 local_cpuid;	/* vcpu_id of the vCPU that accessed */
	__u32 offset;		/* where in the page of its local APIC */
};

#endif /* _UAPI_LINUX_KVM_DSM_EXIT_H */
