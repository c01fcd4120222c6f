/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Drawn faults: a site, one condition or two, and an action, written as
 *
 *	icr:tpr.ge.0x20:lose
 *	icr2:writes.mod.7:flip-val2=24
 *	icr:smm.eq.1&shorthand.ne.0:no-shorthand
 *
 * The conditions are asked of the state before the write. The names of fields are in
 * dsm_fault_cond.c and those of actions in dsm_fault_act.c.
 */
#ifndef __KVM_X86_DSM_FAULT_DRAWN_H
#define __KVM_X86_DSM_FAULT_DRAWN_H

#include <linux/kvm_host.h>

#include "lapic.h"

enum dsm_fault_site {
	SITE_ICR,
	SITE_ICR2,
	SITE_OTHER,
	SITE_IPI_ICR,
	SITE_IPI_ICR2,
	SITE_X2APIC,
	SITE_BASE,
};

/* A write that a guest makes, or that is replayed */
struct dsm_fault_event {
	enum dsm_fault_site site;
	struct kvm_vcpu *vcpu;
	u32 reg;
	u32 val;
	u32 dest;	/* of the IPI, in the form that the local APIC takes */
	u32 arg_dest;
	bool host;
};

#define DSM_FAULT_CONDITIONS	2

struct dsm_fault_condition {
	u8 field;
	u8 op;
	u32 value;
};

struct dsm_fault_drawn {
	u8 site;
	u8 action;
	u8 count;	/* of conditions, all of which have to hold */
	struct dsm_fault_condition conditions[DSM_FAULT_CONDITIONS];
	u32 param;
};

/* The spec may end with a newline. 0, or -EINVAL. */
int kvm_dsm_drawn_parse(const char *spec, struct dsm_fault_drawn *fault);
int kvm_dsm_action_by_name(const char *name, size_t len);

bool kvm_dsm_drawn_holds(const struct dsm_fault_drawn *fault,
			 const struct dsm_fault_event *event);

/* Of the vCPU whose KVM_RUN this is: nothing else looks at it. */
struct kvm_dsm_fault_state *kvm_dsm_fault_state_of(struct kvm_vcpu *vcpu);
struct kvm_dsm_fault_vm *kvm_dsm_fault_vm_of(struct kvm *kvm);

/* Tells of a write that is none to be told of. */
void kvm_dsm_fault_note(struct kvm_vcpu *vcpu, u32 reg, u32 val);
void kvm_dsm_fault_write_locally(struct kvm_lapic *apic, u32 reg, u32 val,
				 bool send);

/* The hooks of dsm_fault.h, while the fault is a drawn one */
void kvm_dsm_drawn_choose(const struct dsm_fault_drawn *fault);
int kvm_dsm_drawn_watch(const struct dsm_fault_drawn *fault);
void kvm_dsm_drawn_watch_none(void);
void kvm_dsm_drawn_forget(void);
int kvm_dsm_drawn_met(char *buf);

bool kvm_dsm_drawn_write(struct kvm_vcpu *vcpu, u32 reg, u32 val);
void kvm_dsm_drawn_noted(struct kvm_vcpu *vcpu, u32 reg, u32 val);
void kvm_dsm_drawn_other(struct kvm_vcpu *vcpu, u32 reg, u32 val);
void kvm_dsm_drawn_exit(struct kvm_vcpu *vcpu);
void kvm_dsm_drawn_run(struct kvm_vcpu *vcpu);
void kvm_dsm_drawn_return(struct kvm_vcpu *vcpu, int r);
bool kvm_dsm_drawn_replay(struct kvm *kvm, unsigned int ioctl, void *arg,
			  int *answer);
int kvm_dsm_drawn_replayed(struct kvm *kvm, unsigned int ioctl, void *arg);

#endif /* __KVM_X86_DSM_FAULT_DRAWN_H */
