/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __KVM_X86_DSM_PLANTED_H
#define __KVM_X86_DSM_PLANTED_H

#ifdef CONFIG_KVM_DSM_FAULT
extern int kvm_dsm_planted;

void __kvm_dsm_planted(void);

/* A guest writes ICR, and this thread may sleep */
static inline void kvm_dsm_planted_write(u32 offset)
{
	if (unlikely(READ_ONCE(kvm_dsm_planted)) && (offset & 0xff0) == 0x300)
		__kvm_dsm_planted();
}
#else
static inline void kvm_dsm_planted_write(u32 offset)
{
}
#endif

#endif
