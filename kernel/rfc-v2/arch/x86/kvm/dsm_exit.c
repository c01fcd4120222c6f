// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_EXIT_DAPIC, KVM_EXIT_DSM_X2_ICR and KVM_EXIT_DSM_APIC_BASE. The DSM series
 * reserves their numbers, gives two of them a payload, and makes none. This is
 * an extension of it: each has a parameter of the kvm module, off by default,
 * which counts for the virtual machines that are created from then on.
 *
 * Like KVM_EXIT_DSM_SEND_IRQ each is a notice: the local APIC has acted, and RIP
 * is behind the instruction. Only what the guest does is told, nothing that user
 * space does by ioctl; nor what the CPU handles by itself (APICv, AVIC, the TPR
 * shadow); nor a write that ended in an exception. Each access, and each write,
 * makes an exit of its own, and they come in the order in which they were made.
 *
 * Notices wait in a queue of the vCPU. KVM stops emulating where there is one, be
 * it in the middle of a REP or of a stretch of instructions that the CPU cannot
 * run, so that it has to hold what one iteration of one instruction can do.
 */
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include <uapi/linux/kvm_dsm_exit.h>

#include "dsm_abi.h"
#include "dsm_exit.h"
#include "dsm_fault.h"

enum kvm_dsm_exit {
	DSM_EXIT_DAPIC,
	DSM_EXIT_X2_ICR,
	DSM_EXIT_APIC_BASE,
};

static bool dsm_exit_dapic;
module_param(dsm_exit_dapic, bool, 0644);
MODULE_PARM_DESC(dsm_exit_dapic, "Return to user space after a guest's access to its APIC page, ICR writes aside");

static bool dsm_exit_x2_icr;
module_param(dsm_exit_x2_icr, bool, 0644);
MODULE_PARM_DESC(dsm_exit_x2_icr, "Return to user space after a guest's write of the x2APIC's ICR");

static bool dsm_exit_apic_base;
module_param(dsm_exit_apic_base, bool, 0644);
MODULE_PARM_DESC(dsm_exit_apic_base, "Return to user space after a guest's write of IA32_APIC_BASE");

void kvm_dsm_exit_init_vm(struct kvm *kvm)
{
	/* 40 is another exit in GiantVM's old numbers, which have no such one. */
	if (READ_ONCE(dsm_exit_dapic) && !kvm_dsm_abi_is(DSM_ABI_GVM_OLD))
		__set_bit(DSM_EXIT_DAPIC, &kvm->arch.dsm_exits);
	if (READ_ONCE(dsm_exit_x2_icr))
		__set_bit(DSM_EXIT_X2_ICR, &kvm->arch.dsm_exits);
	if (READ_ONCE(dsm_exit_apic_base))
		__set_bit(DSM_EXIT_APIC_BASE, &kvm->arch.dsm_exits);
}

static bool wanted(struct kvm_vcpu *vcpu, enum kvm_dsm_exit exit)
{
	return test_bit(exit, &vcpu->kvm->arch.dsm_exits);
}

/*
 * Only the vCPU's own thread notes, and returns with, its exits. KVM_REQ_EVENT
 * ends VMX' stretches of emulated instructions, which look for nothing else.
 */
static void note(struct kvm_vcpu *vcpu, enum kvm_dsm_exit exit, u32 where,
		 u64 data)
{
	struct kvm_dsm_exits *exits = &vcpu->arch.dsm_exits;
	struct kvm_dsm_notice *notice;

	if (!wanted(vcpu, exit))
		return;

	kvm_make_request(KVM_REQ_DSM_EXIT, vcpu);
	kvm_make_request(KVM_REQ_EVENT, vcpu);

	if (WARN_ON_ONCE(exits->count == KVM_NR_DSM_NOTICES))
		return;

	notice = &exits->notices[(exits->first + exits->count++) %
				 KVM_NR_DSM_NOTICES];
	notice->exit = exit;
	notice->where = where;
	notice->data = data;
}

void __kvm_dsm_exit_access(struct kvm_vcpu *vcpu, u32 offset)
{
	note(vcpu, DSM_EXIT_DAPIC, offset, 0);
}

void __kvm_dsm_exit_x2_icr(struct kvm_vcpu *vcpu, u64 data)
{
	note(vcpu, DSM_EXIT_X2_ICR, 0, data);
}

void __kvm_dsm_exit_apic_base(struct kvm_vcpu *vcpu, u32 index, u64 data)
{
	note(vcpu, DSM_EXIT_APIC_BASE, index, data);
}

bool __kvm_dsm_exit_next(struct kvm_vcpu *vcpu)
{
	struct kvm_dsm_exits *exits = &vcpu->arch.dsm_exits;
	struct kvm_dsm_notice *notice = &exits->notices[exits->first];
	struct kvm_run *run = vcpu->run;
	struct kvm_dsm_dapic dapic;

	if (!exits->count)
		return false;

	exits->first = (exits->first + 1) % KVM_NR_DSM_NOTICES;
	if (--exits->count)
		kvm_make_request(KVM_REQ_DSM_EXIT, vcpu);

	memset(run->padding, 0, sizeof(run->padding));
	switch (notice->exit) {
	case DSM_EXIT_DAPIC:
		dapic.local_cpuid = vcpu->vcpu_id;
		dapic.offset = notice->where;
		memcpy(run->padding, &dapic, sizeof(dapic));
		run->exit_reason = KVM_EXIT_DAPIC;
		break;
	case DSM_EXIT_X2_ICR:
		run->x2apic.id = vcpu->vcpu_id;
		run->x2apic.data = notice->data;
		run->exit_reason = KVM_EXIT_DSM_X2_ICR;
		break;
	case DSM_EXIT_APIC_BASE:
		run->x2msr_base.id = vcpu->vcpu_id;
		run->x2msr_base.host = false;
		run->x2msr_base.index = notice->where;
		run->x2msr_base.data = notice->data;
		run->exit_reason = KVM_EXIT_DSM_APIC_BASE;
		break;
	}
	run->exit_reason = kvm_dsm_abi_reason(run->exit_reason);
	kvm_dsm_fault_extra(vcpu);
	return true;
}
