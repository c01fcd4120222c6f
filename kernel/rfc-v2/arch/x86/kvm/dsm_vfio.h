/* SPDX-License-Identifier: GPL-2.0 */
/*
 * IRQ forwarding by the VFIO device, an extension that is no part of the DSM
 * series: see dsm_vfio.c. Included by virt/kvm/vfio.c as well.
 */
#ifndef __KVM_X86_DSM_VFIO_H
#define __KVM_X86_DSM_VFIO_H

#include <linux/kvm_host.h>

#ifdef CONFIG_KVM_DSM_VFIO

#include <uapi/linux/kvm_dsm_vfio.h>

bool kvm_dsm_vfio_wanted(void);
int kvm_dsm_vfio_has(u64 attr);
int kvm_dsm_vfio_set(struct kvm *kvm, u64 attr, void __user *arg);
void kvm_dsm_vfio_release(struct kvm *kvm);

#endif

#endif /* __KVM_X86_DSM_VFIO_H */
