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
 * shadow); nor a write that ended in an exception. An instruction that accesses
 * the APIC page several times makes one KVM_EXIT_DAPIC, of the last access.
 */
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include <uapi/linux/kvm_dsm_exit.h>

#include "dsm_abi.h"
#include "dsm_exit.h"
#include "dsm_fault.h"

/* In the order in which KVM_RUN returns with them */
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

/* Only the vCPU's own thread notes, and returns with, its exits. */
static void note(struct kvm_vcpu *vcpu, enum kvm_dsm_exit exit)
{
	__set_bit(exit, &vcpu->arch.dsm_exits.pending);
	kvm_make_request(KVM_REQ_DSM_EXIT, vcpu);
}

static bool wanted(struct kvm_vcpu *vcpu, enum kvm_dsm_exit exit)
{
	return test_bit(exit, &vcpu->kvm->arch.dsm_exits);
}

void __kvm_dsm_exit_access(struct kvm_vcpu *vcpu, u32 offset)
{
	if (!wanted(vcpu, DSM_EXIT_DAPIC))
		return;

	vcpu->arch.dsm_exits.dapic_offset = offset;
	note(vcpu, DSM_EXIT_DAPIC);
}

void __kvm_dsm_exit_x2_icr(struct kvm_vcpu *vcpu, u64 data)
{
	if (!wanted(vcpu, DSM_EXIT_X2_ICR))
		return;

	vcpu->arch.dsm_exits.x2_icr = data;
	note(vcpu, DSM_EXIT_X2_ICR);
}

void __kvm_dsm_exit_apic_base(struct kvm_vcpu *vcpu, u32 index, u64 data)
{
	if (!wanted(vcpu, DSM_EXIT_APIC_BASE))
		return;

	vcpu->arch.dsm_exits.base_index = index;
	vcpu->arch.dsm_exits.base_data = data;
	note(vcpu, DSM_EXIT_APIC_BASE);
}

void __kvm_dsm_exit_next(struct kvm_vcpu *vcpu)
{
	struct kvm_dsm_exits *exits = &vcpu->arch.dsm_exits;
	struct kvm_run *run = vcpu->run;
	enum kvm_dsm_exit exit = __ffs(exits->pending);
	struct kvm_dsm_dapic dapic;

	__clear_bit(exit, &exits->pending);
	if (exits->pending)
		kvm_make_request(KVM_REQ_DSM_EXIT, vcpu);

	memset(run->padding, 0, sizeof(run->padding));
	switch (exit) {
	case DSM_EXIT_DAPIC:
		dapic.local_cpuid = vcpu->vcpu_id;
		dapic.offset = exits->dapic_offset;
		memcpy(run->padding, &dapic, sizeof(dapic));
		run->exit_reason = KVM_EXIT_DAPIC;
		break;
	case DSM_EXIT_X2_ICR:
		run->x2apic.id = vcpu->vcpu_id;
		run->x2apic.data = exits->x2_icr;
		run->exit_reason = KVM_EXIT_DSM_X2_ICR;
		break;
	case DSM_EXIT_APIC_BASE:
		run->x2msr_base.id = vcpu->vcpu_id;
		run->x2msr_base.host = false;
		run->x2msr_base.index = exits->base_index;
		run->x2msr_base.data = exits->base_data;
		run->exit_reason = KVM_EXIT_DSM_APIC_BASE;
		break;
	}
	run->exit_reason = kvm_dsm_abi_reason(run->exit_reason);
	kvm_dsm_fault_extra(vcpu);
}
