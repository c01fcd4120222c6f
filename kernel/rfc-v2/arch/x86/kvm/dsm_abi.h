/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Other numbers and layouts of the DSM interrupt forwarding: see dsm_abi.c.
 *
 * Each hook is one load and one untaken branch while the RFC series' are spoken.
 */
#ifndef __KVM_X86_DSM_ABI_H
#define __KVM_X86_DSM_ABI_H

#include <linux/kvm_host.h>

#include <uapi/linux/kvm_dsm_abi.h>

enum kvm_dsm_abi {
	DSM_ABI_RFC_V2,
	DSM_ABI_GVM_MAIN,
	DSM_ABI_GVM_OLD,
	DSM_ABI_GVM_MAIN_IRQ,
};

extern unsigned int kvm_dsm_abi;

unsigned int __kvm_dsm_abi_request(unsigned int ioctl);
int __kvm_dsm_abi_ioctl(unsigned int ioctl, void __user *argp);
int __kvm_dsm_abi_answer(void);

static inline bool kvm_dsm_abi_is(enum kvm_dsm_abi abi)
{
	return unlikely(READ_ONCE(kvm_dsm_abi) == abi);
}

/* The reason of an exit whose reason in the RFC series is @reason. */
static inline u32 kvm_dsm_abi_reason(u32 reason)
{
	if (kvm_dsm_abi_is(DSM_ABI_GVM_OLD) && reason >= KVM_EXIT_DSM_SEND_IRQ)
		return reason - KVM_EXIT_DSM_SEND_IRQ + KVM_EXIT_DSM_SEND_IRQ_OLD;

	return reason;
}

/* The bytes of a write's notice, and of its replay's argument. */
static inline size_t kvm_dsm_abi_size(void)
{
	return kvm_dsm_abi_is(DSM_ABI_GVM_OLD) ?
	       sizeof(struct kvm_dsm_lapic_irq_old) :
	       sizeof(struct kvm_dsm_lapic_irq);
}

/* The request of the RFC series that @ioctl stands for; 0 for none. */
static inline unsigned int kvm_dsm_abi_request(unsigned int ioctl)
{
	if (kvm_dsm_abi_is(DSM_ABI_GVM_MAIN_IRQ))
		return 0;

	return kvm_dsm_abi_is(DSM_ABI_GVM_OLD) ? __kvm_dsm_abi_request(ioctl) :
						 ioctl;
}

/* What becomes of a request that the RFC series does not have. */
static inline int kvm_dsm_abi_ioctl(unsigned int ioctl, void __user *argp)
{
	if (kvm_dsm_abi_is(DSM_ABI_GVM_MAIN) || kvm_dsm_abi_is(DSM_ABI_GVM_OLD))
		return __kvm_dsm_abi_ioctl(ioctl, argp);

	return -ENOTTY;
}

/* What user space gets for the answer @r to a replay. */
static inline int kvm_dsm_abi_answer(int r)
{
	return kvm_dsm_abi_is(DSM_ABI_GVM_MAIN) ? __kvm_dsm_abi_answer() : r;
}

/* What is written to IA32_APIC_BASE for @msr, whose data is at @data. */
static inline void kvm_dsm_abi_base(struct msr_data *msr, const u64 *data)
{
	if (!kvm_dsm_abi_is(DSM_ABI_GVM_MAIN))
		return;

	msr->data = (unsigned long)data;
	msr->host_initiated = true;
}

#endif /* __KVM_X86_DSM_ABI_H */
