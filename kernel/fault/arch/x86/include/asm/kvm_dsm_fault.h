/* SPDX-License-Identifier: GPL-2.0 */
/* What the faults of arch/x86/kvm/dsm_fault.c remember of a vCPU and of a VM */
#ifndef _ASM_X86_KVM_DSM_FAULT_H
#define _ASM_X86_KVM_DSM_FAULT_H

#include <linux/atomic.h>
#include <linux/kvm.h>
#include <linux/types.h>

#ifdef CONFIG_KVM_DSM_FAULT

struct kvm_vcpu;

/* What conditions of drawn faults ask about: see dsm_fault_cond.c */
struct kvm_dsm_fault_history {
	u32 runs;			/* of KVM_RUN */
	u32 last_exit;
	u32 writes;			/* of ICR and ICR2 */
	u32 reg_writes[2];		/* of each */
	u32 run_writes;			/* within this KVM_RUN */
	u32 last_reg;
	u32 last_val[2];
	int last_cpu;
	u64 run_began;			/* ns */
	u64 last_write;
};

struct kvm_dsm_fault_vm {
	unsigned int choice;		/* which choice the rest belongs to */
	atomic_t writes;
	bool replay_struck;
	/* Never followed */
	struct kvm_vcpu *last_writer;
	struct kvm_vcpu *last_teller;
	struct kvm_dsm_lapic_irq last;
};

struct kvm_dsm_fault_state {
	unsigned int choice;		/* which choice the rest belongs to */
	unsigned int writes;		/* of ICR and ICR2 */

	/* From before the write that is at work */
	bool writing;
	unsigned int pending;		/* notices */
	struct kvm_dsm_lapic_irq before;
	u32 old_icr2;
	unsigned long rip;

	/* RIP of the notice, and where the guest goes on */
	bool rip_known;
	bool behind;
	unsigned long next_rip;

	/* What the local APIC has yet to do */
	bool deferred;
	u32 reg;
	u32 val;
	u32 icr2;

	/* A notice for the next KVM_RUN */
	bool told;
	bool tell_again;
	bool telling_again;
	struct kvm_dsm_lapic_irq again;

	/* A notice that another vCPU's write has left here, once @has_foreign is set */
	bool has_foreign;
	struct kvm_dsm_lapic_irq foreign;

	/* Drawn faults: see dsm_fault_act.c */
	bool struck;
	bool tell_after_write;
	bool spoil_exit;
	bool spoil_return;
	u32 foreign_id;
	struct kvm_dsm_lapic_irq last;
	struct kvm_dsm_fault_history history;
};

#endif /* CONFIG_KVM_DSM_FAULT */
#endif /* _ASM_X86_KVM_DSM_FAULT_H */
