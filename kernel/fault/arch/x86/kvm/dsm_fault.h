/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults that can be switched on in the DSM interrupt forwarding and in its
 * neighbours, so that a test of them can be tested: see dsm_fault.c.
 *
 * Each hook is one load and one untaken branch while no fault is chosen.
 */
#ifndef __KVM_X86_DSM_FAULT_H
#define __KVM_X86_DSM_FAULT_H

#include <linux/kvm_host.h>

#include "dsm_fault_bugs.h"
#include "dsm_planted.h"
#include "lapic.h"

#ifdef CONFIG_KVM_DSM_FAULT

extern unsigned int kvm_dsm_fault;

bool __kvm_dsm_fault_write(struct kvm_lapic *apic, u32 offset, int len,
			   const void *data);
void __kvm_dsm_fault_noted(struct kvm_lapic *apic, u32 reg, u32 val);
void __kvm_dsm_fault_read(struct kvm_lapic *apic, u32 offset, int len);
bool __kvm_dsm_fault_exit(struct kvm_vcpu *vcpu);
void __kvm_dsm_fault_run(struct kvm_vcpu *vcpu);
void __kvm_dsm_fault_return(struct kvm_vcpu *vcpu, int r);
bool __kvm_dsm_fault_replay(struct kvm *kvm, unsigned int ioctl, void *arg,
			    int *answer);
int __kvm_dsm_fault_replayed(struct kvm *kvm, unsigned int ioctl, void *arg);
void __kvm_dsm_fault_extra(struct kvm_vcpu *vcpu);
u32 __kvm_dsm_fault_sint(u32 vpidx);
bool __kvm_dsm_fault_acked(void);
bool __kvm_dsm_fault_ioctl(struct kvm *kvm, unsigned int ioctl,
			   void __user *argp);
bool __kvm_dsm_fault_signaled(void);
bool __kvm_dsm_fault_incomplete(void);

static inline bool kvm_dsm_fault_chosen(void)
{
	return unlikely(READ_ONCE(kvm_dsm_fault));
}

#else

static inline bool kvm_dsm_fault_chosen(void)
{
	return false;
}

static inline bool __kvm_dsm_fault_write(struct kvm_lapic *apic, u32 offset,
					 int len, const void *data)
{
	return false;
}

static inline void __kvm_dsm_fault_noted(struct kvm_lapic *apic, u32 reg,
					 u32 val)
{
}

static inline void __kvm_dsm_fault_read(struct kvm_lapic *apic, u32 offset,
					int len)
{
}

static inline bool __kvm_dsm_fault_exit(struct kvm_vcpu *vcpu)
{
	return false;
}

static inline void __kvm_dsm_fault_run(struct kvm_vcpu *vcpu)
{
}

static inline void __kvm_dsm_fault_return(struct kvm_vcpu *vcpu, int r)
{
}

static inline bool __kvm_dsm_fault_replay(struct kvm *kvm, unsigned int ioctl,
					  void *arg, int *answer)
{
	return false;
}

static inline int __kvm_dsm_fault_replayed(struct kvm *kvm, unsigned int ioctl,
					   void *arg)
{
	return 0;
}

static inline void __kvm_dsm_fault_extra(struct kvm_vcpu *vcpu)
{
}

static inline u32 __kvm_dsm_fault_sint(u32 vpidx)
{
	return vpidx;
}

static inline bool __kvm_dsm_fault_acked(void)
{
	return false;
}

static inline bool __kvm_dsm_fault_ioctl(struct kvm *kvm, unsigned int ioctl,
					 void __user *argp)
{
	return false;
}

static inline bool __kvm_dsm_fault_signaled(void)
{
	return false;
}

static inline bool __kvm_dsm_fault_incomplete(void)
{
	return false;
}

#endif

/* Before the guest's write is looked at. True: the write has been dealt with. */
static inline bool kvm_dsm_fault_write(struct kvm_lapic *apic, u32 offset,
				       int len, const void *data)
{
	kvm_dsm_planted_write(offset);
	return kvm_dsm_fault_chosen() &&
	       __kvm_dsm_fault_write(apic, offset, len, data);
}

/* After the local APIC has had the write, and it has been noted. */
static inline void kvm_dsm_fault_noted(struct kvm_lapic *apic, u32 reg, u32 val)
{
	if (kvm_dsm_fault_chosen())
		__kvm_dsm_fault_noted(apic, reg, val);
}

/* After the guest has read a register. */
static inline void kvm_dsm_fault_read(struct kvm_lapic *apic, u32 offset,
				      int len)
{
	if (kvm_dsm_fault_chosen())
		__kvm_dsm_fault_read(apic, offset, len);
}

/* When kvm_run holds the exit. True: KVM_RUN goes on as if it did not. */
static inline bool kvm_dsm_fault_exit(struct kvm_vcpu *vcpu)
{
	return kvm_dsm_fault_chosen() && __kvm_dsm_fault_exit(vcpu);
}

/* At the start of KVM_RUN. */
static inline void kvm_dsm_fault_run(struct kvm_vcpu *vcpu)
{
	if (kvm_dsm_fault_chosen())
		__kvm_dsm_fault_run(vcpu);
}

/* Before KVM_RUN returns @r, when kvm_run is complete. */
static inline void kvm_dsm_fault_return(struct kvm_vcpu *vcpu, int r)
{
	if (kvm_dsm_fault_chosen())
		__kvm_dsm_fault_return(vcpu, r);
}

/*
 * Before an injection ioctl acts on its argument. True: it has been dealt with,
 * and what it answers is in @answer.
 */
static inline bool kvm_dsm_fault_replay(struct kvm *kvm, unsigned int ioctl,
					void *arg, int *answer)
{
	return kvm_dsm_fault_chosen() &&
	       __kvm_dsm_fault_replay(kvm, ioctl, arg, answer);
}

/* After it has acted. Returns what it answers. */
static inline int kvm_dsm_fault_replayed(struct kvm *kvm, unsigned int ioctl,
					 void *arg)
{
	return kvm_dsm_fault_chosen() ?
	       __kvm_dsm_fault_replayed(kvm, ioctl, arg) : 0;
}

/* When kvm_run holds an exit of dsm_exit.c. */
static inline void kvm_dsm_fault_extra(struct kvm_vcpu *vcpu)
{
	if (kvm_dsm_fault_chosen())
		__kvm_dsm_fault_extra(vcpu);
}

/* The VP index of the vCPU that a SINT of @vpidx goes to. */
static inline u32 kvm_dsm_fault_sint(u32 vpidx)
{
	return kvm_dsm_fault_chosen() ? __kvm_dsm_fault_sint(vpidx) : vpidx;
}

/* Before the EOI or EOM of a SINT is told of. True: nobody is told. */
static inline bool kvm_dsm_fault_acked(void)
{
	return kvm_dsm_fault_chosen() && __kvm_dsm_fault_acked();
}

/* An ioctl of a VM that nobody knows. True: it has been dealt with. */
static inline bool kvm_dsm_fault_ioctl(struct kvm *kvm, unsigned int ioctl,
				       void __user *argp)
{
	return kvm_dsm_fault_chosen() &&
	       __kvm_dsm_fault_ioctl(kvm, ioctl, argp);
}

/* When forwarding is to change while the IRQ's signalling is set. True: it may. */
static inline bool kvm_dsm_fault_signaled(void)
{
	return kvm_dsm_fault_chosen() && __kvm_dsm_fault_signaled();
}

/* When the guest has completed a forwarded IRQ. True: its device is not told. */
static inline bool kvm_dsm_fault_incomplete(void)
{
	return kvm_dsm_fault_chosen() && __kvm_dsm_fault_incomplete();
}

#endif /* __KVM_X86_DSM_FAULT_H */
