/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The exits that the DSM series reserves and never makes, as an extension that
 * is no part of it: see dsm_exit.c.
 *
 * Each hook is one load and one untaken branch in a virtual machine without them.
 */
#ifndef __KVM_X86_DSM_EXIT_H
#define __KVM_X86_DSM_EXIT_H

#include <linux/kvm_host.h>

#include "lapic.h"

#ifdef CONFIG_KVM_DSM_EXIT

void kvm_dsm_exit_init_vm(struct kvm *kvm);
void __kvm_dsm_exit_access(struct kvm_vcpu *vcpu, u32 offset);
void __kvm_dsm_exit_x2_icr(struct kvm_vcpu *vcpu, u64 data);
void __kvm_dsm_exit_apic_base(struct kvm_vcpu *vcpu, u32 index, u64 data);
bool __kvm_dsm_exit_next(struct kvm_vcpu *vcpu);

static inline bool kvm_dsm_exit_wanted(struct kvm_vcpu *vcpu)
{
	return unlikely(vcpu->kvm->arch.dsm_exits);
}

/* There is a notice: no further iteration of a REP is to be emulated. */
static inline bool kvm_dsm_exit_noted(struct kvm_vcpu *vcpu)
{
	return unlikely(vcpu->arch.dsm_exits.count);
}

/* True if kvm_run now holds an exit that KVM_RUN has to return with. */
static inline bool kvm_dsm_exit_next(struct kvm_vcpu *vcpu)
{
	return kvm_check_request(KVM_REQ_DSM_EXIT, vcpu) &&
	       __kvm_dsm_exit_next(vcpu);
}

#else

static inline void kvm_dsm_exit_init_vm(struct kvm *kvm)
{
}

static inline void __kvm_dsm_exit_access(struct kvm_vcpu *vcpu, u32 offset)
{
}

static inline void __kvm_dsm_exit_x2_icr(struct kvm_vcpu *vcpu, u64 data)
{
}

static inline void __kvm_dsm_exit_apic_base(struct kvm_vcpu *vcpu, u32 index,
					    u64 data)
{
}

static inline bool kvm_dsm_exit_wanted(struct kvm_vcpu *vcpu)
{
	return false;
}

static inline bool kvm_dsm_exit_noted(struct kvm_vcpu *vcpu)
{
	return false;
}

static inline bool kvm_dsm_exit_next(struct kvm_vcpu *vcpu)
{
	return false;
}

#endif

/* The guest has read at @offset of its local APIC's page. */
static inline void kvm_dsm_exit_access(struct kvm_lapic *apic, u32 offset)
{
	if (kvm_dsm_exit_wanted(apic->vcpu))
		__kvm_dsm_exit_access(apic->vcpu, offset);
}

/* The guest writes there. An ICR or ICR2 write has an exit of its own. */
static inline void kvm_dsm_exit_write(struct kvm_lapic *apic, u32 offset,
				      int len)
{
	if (len == 4 && (offset == APIC_ICR || offset == APIC_ICR2))
		return;

	kvm_dsm_exit_access(apic, offset);
}

/* The guest has written the x2APIC's ICR, and the local APIC has acted on it. */
static inline void kvm_dsm_exit_x2_icr(struct kvm_vcpu *vcpu, u64 data)
{
	if (kvm_dsm_exit_wanted(vcpu))
		__kvm_dsm_exit_x2_icr(vcpu, data);
}

/* An MSR has been written; @ret, which is passed on, is 0 if it took the value. */
static inline int kvm_dsm_exit_msr(struct kvm_vcpu *vcpu,
				   struct msr_data *msr, int ret)
{
	if (ret || msr->host_initiated || !kvm_dsm_exit_wanted(vcpu))
		return ret;

	if (msr->index == MSR_IA32_APICBASE)
		__kvm_dsm_exit_apic_base(vcpu, msr->index, msr->data);
	else if (msr->index == APIC_BASE_MSR + (APIC_ICR >> 4))
		__kvm_dsm_exit_x2_icr(vcpu, msr->data);
	return ret;
}

#endif /* __KVM_X86_DSM_EXIT_H */
