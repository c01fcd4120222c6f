/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the faults of dsm_fault.c ask of a series: here notices are a queue in the
 * vCPU, whose mutex protects it.
 */
#ifndef __KVM_X86_DSM_FAULT_SERIES_H
#define __KVM_X86_DSM_FAULT_SERIES_H

#include <linux/kvm_host.h>

#include "apic_exit.h"
#include "lapic.h"

#ifdef CONFIG_KVM_DSM_FAULT

/* The VM's user space is told of what its guest writes, after KVM has sent it. */
static inline bool kvm_dsm_fault_wanted(struct kvm_vcpu *vcpu)
{
	return kvm_apic_exit_wanted(vcpu, KVM_X86_APIC_EXIT_ICR) &&
	       !kvm_apic_exit_defers(vcpu, KVM_X86_APIC_EXIT_ICR);
}

static inline bool kvm_dsm_fault_pending(struct kvm_vcpu *vcpu)
{
	return kvm_apic_exit_due(vcpu);
}

/* The last one that was noted; nothing of a meaning if there is none */
static inline struct kvm_dsm_lapic_irq *kvm_dsm_fault_notice(struct kvm_vcpu *vcpu)
{
	struct kvm_apic_exits *exits = &vcpu->arch.apic_exits;
	unsigned int count = exits->count;

	return (void *)exits->queue[count ? count - 1 : 0].payload;
}

/* The one that kvm_run has been given */
static inline struct kvm_dsm_lapic_irq *kvm_dsm_fault_told(struct kvm_vcpu *vcpu)
{
	return &vcpu->run->lapic_irq;
}

static inline void kvm_dsm_fault_note_write(struct kvm_lapic *apic, u32 reg,
					    u32 val)
{
	kvm_apic_exit_mmio(apic->vcpu, reg, val);
}

/* Before a write: what is there that is not its own */
static inline void kvm_dsm_fault_remember(struct kvm_vcpu *vcpu,
					  struct kvm_dsm_fault_state *state)
{
	state->pending = vcpu->arch.apic_exits.count;
}

/* The notice of this write never was; those that had been there before still are. */
static inline void kvm_dsm_fault_take_back(struct kvm_vcpu *vcpu,
					   struct kvm_dsm_fault_state *state)
{
	vcpu->arch.apic_exits.count = min(vcpu->arch.apic_exits.count,
					  state->pending);
}

/* Dropped if the queue is full. */
static inline void kvm_dsm_fault_put(struct kvm_vcpu *vcpu,
				     const struct kvm_dsm_lapic_irq *notice)
{
	struct kvm_apic_exits *exits = &vcpu->arch.apic_exits;
	struct kvm_dsm_lapic_irq *put;
	struct kvm_apic_exit *exit;

	if (exits->count == KVM_NR_APIC_EXITS)
		return;

	exit = &exits->queue[exits->count++];
	memset(exit, 0, sizeof(*exit));
	exit->reason = KVM_EXIT_DSM_SEND_IRQ;
	exit->size = sizeof(*put);
	put = (void *)exit->payload;
	*put = *notice;
	put->id = vcpu->vcpu_id;
}

/* From another vCPU's thread, which may not touch the queue */
static inline void kvm_dsm_fault_put_elsewhere(struct kvm_vcpu *vcpu,
					       const struct kvm_dsm_lapic_irq *notice)
{
	struct kvm_dsm_fault_state *state = &vcpu->arch.dsm_fault;

	state->foreign = *notice;
	smp_store_release(&state->has_foreign, true);
}

/* At the end of a turn of vcpu_run(), and before the first one */
static inline void kvm_dsm_fault_take_foreign(struct kvm_vcpu *vcpu)
{
	struct kvm_dsm_fault_state *state = &vcpu->arch.dsm_fault;

	if (likely(!smp_load_acquire(&state->has_foreign)))
		return;

	kvm_dsm_fault_put(vcpu, &state->foreign);
	state->has_foreign = false;
}

static inline void kvm_dsm_fault_drop(struct kvm_vcpu *vcpu)
{
	vcpu->arch.apic_exits.count = 0;
}

/* The vCPU that an injection ioctl means by @vcpu_id; NULL: it reaches none. */
static inline struct kvm_vcpu *kvm_dsm_fault_vcpu(struct kvm *kvm, int vcpu_id)
{
	return kvm->arch.apic_exits ? kvm_get_vcpu_by_id(kvm, vcpu_id) : NULL;
}

#else

static inline void kvm_dsm_fault_take_foreign(struct kvm_vcpu *vcpu)
{
}

#endif /* CONFIG_KVM_DSM_FAULT */

#endif /* __KVM_X86_DSM_FAULT_SERIES_H */
