// SPDX-License-Identifier: GPL-2.0
/*
 * DSM interrupt forwarding, the injection side: a register write that a guest
 * has made on another machine is replayed on this machine's replica of its vCPU.
 *
 * The behaviour is that of the RFC series, with its shortfalls: vcpu_id is taken
 * for an index and not checked, nor is the local APIC; neither is vcpu->mutex
 * held, nor the vCPU loaded; an argument that cannot be read is no error; what
 * becomes of the write is not told.
 */
#include <linux/kvm_host.h>
#include <linux/uaccess.h>

#include "dsm.h"
#include "dsm_fault.h"
#include "lapic.h"
#include "x86.h"

/* Bits 31:20, 17:16 and 13 */
#define X2APIC_ICR_RESERVED	0xfff32000ULL

static int replay_ipi(struct kvm *kvm, void __user *argp)
{
	struct kvm_dsm_ipi_arg arg = {};
	struct kvm_vcpu *vcpu;
	int answer;

	if (copy_from_user(&arg, argp, kvm_dsm_abi_size()))
		return 0;
	if (kvm_dsm_fault_replay(kvm, KVM_DSM_IPI, &arg, &answer))
		return answer;

	vcpu = kvm_get_vcpu(kvm, arg.vcpu_id);
	kvm_lapic_reg_write(vcpu->arch.apic, arg.val, arg.val2);
	return kvm_dsm_fault_replayed(kvm, KVM_DSM_IPI, &arg);
}

/*
 * Only what the map of local APICs resolves at once is sent: no broadcast, and
 * no shorthand but self.
 */
static int write_x2apic_icr(struct kvm_lapic *apic, u64 data)
{
	u32 low = (u32)data & ~APIC_ICR_BUSY;
	u32 high = data >> 32;
	struct kvm_lapic_irq irq = {
		.vector = low & APIC_VECTOR_MASK,
		.delivery_mode = low & APIC_MODE_MASK,
		.dest_mode = low & APIC_DEST_MASK,
		.level = !!(low & APIC_INT_ASSERT),
		.trig_mode = low & APIC_INT_LEVELTRIG,
		.shorthand = low & APIC_SHORT_MASK,
	};
	int delivered;

	if (data & X2APIC_ICR_RESERVED)
		return -EINVAL;

	irq.dest_id = apic_x2apic_mode(apic) ? high : GET_XAPIC_DEST_FIELD(high);
	if (!kvm_irq_delivery_to_apic_fast(apic->vcpu->kvm, apic, &irq,
					   &delivered, NULL))
		return -EWOULDBLOCK;

	*(u32 *)((char *)apic->regs + APIC_ICR) = low;
	if (kvm_x86_ops.x2apic_icr_is_split)
		*(u32 *)((char *)apic->regs + APIC_ICR2) = high;
	else
		*(u32 *)((char *)apic->regs + APIC_ICR + 4) = high;
	return 0;
}

static int replay_x2apic(struct kvm *kvm, void __user *argp)
{
	struct kvm_dsm_x2apic_arg arg;
	struct kvm_vcpu *vcpu;
	int answer;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return 0;
	if (kvm_dsm_fault_replay(kvm, KVM_DSM_X2APIC, &arg, &answer))
		return answer;

	vcpu = kvm_get_vcpu(kvm, arg.vcpu_id);
	write_x2apic_icr(vcpu->arch.apic, arg.data);
	return kvm_dsm_fault_replayed(kvm, KVM_DSM_X2APIC, &arg);
}

static int replay_apic_base(struct kvm *kvm, void __user *argp)
{
	struct kvm_dsm_apic_base_arg arg;
	struct msr_data msr = { .index = MSR_IA32_APICBASE };
	int answer;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return 0;
	if (kvm_dsm_fault_replay(kvm, KVM_DSM_APIC_BASE, &arg, &answer))
		return answer;

	msr.data = arg.data;
	msr.host_initiated = arg.host;
	kvm_dsm_abi_base(&msr, &arg.data);
	kvm_apic_set_base(kvm_get_vcpu(kvm, arg.vcpu_id), &msr);
	return kvm_dsm_fault_replayed(kvm, KVM_DSM_APIC_BASE, &arg);
}

int kvm_dsm_vm_ioctl(struct kvm *kvm, unsigned int ioctl, void __user *argp)
{
	switch (kvm_dsm_abi_request(ioctl)) {
	case KVM_DSM_IPI:
		return kvm_dsm_abi_answer(replay_ipi(kvm, argp));
	case KVM_DSM_X2APIC:
		return kvm_dsm_abi_answer(replay_x2apic(kvm, argp));
	case KVM_DSM_APIC_BASE:
		return kvm_dsm_abi_answer(replay_apic_base(kvm, argp));
	default:
		if (kvm_dsm_fault_ioctl(kvm, ioctl, argp))
			return 0;
		return kvm_dsm_abi_ioctl(ioctl, argp);
	}
}
