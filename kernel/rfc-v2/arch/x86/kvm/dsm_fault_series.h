/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the faults of dsm_fault.c ask of a series: here a notice is one slot in the
 * vCPU and a request.
 */
#ifndef __KVM_X86_DSM_FAULT_SERIES_H
#define __KVM_X86_DSM_FAULT_SERIES_H

#include <linux/kvm_host.h>

#include "dsm.h"

/* The VM's user space is told of what its guest writes. */
static inline bool kvm_dsm_fault_wanted(struct kvm_vcpu *vcpu)
{
	return true;
}

static inline bool kvm_dsm_fault_pending(struct kvm_vcpu *vcpu)
{
	return kvm_test_request(KVM_REQ_DSM_IRQ_FORWARD, vcpu);
}

/* The last one that was noted */
static inline struct kvm_dsm_lapic_irq *kvm_dsm_fault_notice(struct kvm_vcpu *vcpu)
{
	return &vcpu->arch.dsm_forward;
}

/* The one that kvm_run has been given */
static inline struct kvm_dsm_lapic_irq *kvm_dsm_fault_told(struct kvm_vcpu *vcpu)
{
	return &vcpu->arch.dsm_forward;
}

static inline void kvm_dsm_fault_note_write(struct kvm_lapic *apic, u32 reg,
					    u32 val)
{
	kvm_dsm_note_write(apic, reg, val);
}

/* Before a write: what is there that is not its own */
static inline void kvm_dsm_fault_remember(struct kvm_vcpu *vcpu,
					  struct kvm_dsm_fault_state *state)
{
	state->before = vcpu->arch.dsm_forward;
	state->pending = kvm_dsm_fault_pending(vcpu);
}

/* The notice of this write never was; one that had been there before still is. */
static inline void kvm_dsm_fault_take_back(struct kvm_vcpu *vcpu,
					   struct kvm_dsm_fault_state *state)
{
	vcpu->arch.dsm_forward = state->before;
	if (!state->pending)
		kvm_clear_request(KVM_REQ_DSM_IRQ_FORWARD, vcpu);
}

static inline void kvm_dsm_fault_put(struct kvm_vcpu *vcpu,
				     const struct kvm_dsm_lapic_irq *notice)
{
	vcpu->arch.dsm_forward = *notice;
	kvm_make_request(KVM_REQ_DSM_IRQ_FORWARD, vcpu);
}

/* From another vCPU's thread */
static inline void kvm_dsm_fault_put_elsewhere(struct kvm_vcpu *vcpu,
					       const struct kvm_dsm_lapic_irq *notice)
{
	kvm_dsm_fault_put(vcpu, notice);
}

static inline void kvm_dsm_fault_drop(struct kvm_vcpu *vcpu)
{
	kvm_clear_request(KVM_REQ_DSM_IRQ_FORWARD, vcpu);
}

/* The vCPU that an injection ioctl means by @vcpu_id; NULL: it reaches none. */
static inline struct kvm_vcpu *kvm_dsm_fault_vcpu(struct kvm *kvm, int vcpu_id)
{
	return kvm_get_vcpu(kvm, vcpu_id);
}

#endif /* __KVM_X86_DSM_FAULT_SERIES_H */
