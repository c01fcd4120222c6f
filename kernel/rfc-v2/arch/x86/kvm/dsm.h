/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DSM interrupt forwarding: a guest's ICR or ICR2 write, seen by user space.
 *
 * The behaviour is that of the RFC series, with its shortfalls: one slot per
 * vCPU, so that the second of two writes by one instruction takes the place of
 * the first; only writes that reach apic_mmio_write() are seen.
 */
#ifndef __KVM_X86_DSM_H
#define __KVM_X86_DSM_H

#include <linux/kvm_host.h>

#include "dsm_abi.h"
#include "lapic.h"

/* lapic.c: what a guest's write does. Not 0 for a register that takes none. */
int kvm_lapic_reg_write(struct kvm_lapic *apic, u32 reg, u32 val);

#ifdef CONFIG_KVM_DSM_IRQ_FORWARD

/* The VM ioctls of dsm_inject.c; -ENOTTY for any other. */
int kvm_dsm_vm_ioctl(struct kvm *kvm, unsigned int ioctl, void __user *argp);

/*
 * Called after the local APIC has acted on the write: the IPI is delivered
 * here as well, and the exit that follows is a notice, not a request.
 */
static inline void kvm_dsm_note_write(struct kvm_lapic *apic, u32 reg, u32 val)
{
	struct kvm_vcpu *vcpu = apic->vcpu;
	u32 icr2;

	if (reg == APIC_ICR2)
		icr2 = val;
	else if (reg == APIC_ICR)
		icr2 = kvm_lapic_get_reg(apic, APIC_ICR2);
	else
		return;

	vcpu->arch.dsm_forward.val = reg;
	vcpu->arch.dsm_forward.val2 = val;
	vcpu->arch.dsm_forward.dest_id = GET_XAPIC_DEST_FIELD(icr2);
	kvm_make_request(KVM_REQ_DSM_IRQ_FORWARD, vcpu);
}

/* True if kvm_run now holds an exit that KVM_RUN has to return with. */
static inline bool kvm_dsm_exit_pending(struct kvm_vcpu *vcpu)
{
	if (!kvm_check_request(KVM_REQ_DSM_IRQ_FORWARD, vcpu))
		return false;

	vcpu->run->exit_reason = kvm_dsm_abi_reason(KVM_EXIT_DSM_SEND_IRQ);
	memcpy(&vcpu->run->lapic_irq, &vcpu->arch.dsm_forward,
	       kvm_dsm_abi_size());
	vcpu->run->lapic_irq.id = vcpu->vcpu_id;
	return true;
}

#else

static inline int kvm_dsm_vm_ioctl(struct kvm *kvm, unsigned int ioctl,
				   void __user *argp)
{
	return -ENOTTY;
}

static inline void kvm_dsm_note_write(struct kvm_lapic *apic, u32 reg, u32 val)
{
}

static inline bool kvm_dsm_exit_pending(struct kvm_vcpu *vcpu)
{
	return false;
}

#endif
#endif /* __KVM_X86_DSM_H */
