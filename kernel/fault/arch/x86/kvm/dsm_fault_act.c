// SPDX-License-Identifier: GPL-2.0
/*
 * The actions of drawn faults: what goes wrong with a write while a condition of
 * dsm_fault_cond.c holds. The same table, in words, is in
 * lib/suite/faults/drawn/actions.ts.
 *
 * Conditions can be watched as well: which of them have held, and nothing goes
 * wrong.
 */
#include <linux/bitmap.h>
#include <linux/kvm_host.h>
#include <linux/ktime.h>
#include <linux/sysfs.h>

#include "dsm_fault_drawn.h"
#include "dsm_fault_series.h"
#include "kvm_cache_regs.h"
#include "lapic.h"
#include "x86.h"

#define ACTIONS(X)				\
	X(WATCH, "watch")			\
	X(LOSE, "lose")				\
	X(DOUBLE, "double")			\
	X(LATE, "late")				\
	X(OTHER_VCPU, "other-vcpu")		\
	X(REASON, "reason")			\
	X(FLIP_ID, "flip-id")			\
	X(FLIP_VAL, "flip-val")			\
	X(FLIP_VAL2, "flip-val2")		\
	X(FLIP_DEST, "flip-dest")		\
	X(STALE_VAL2, "stale-val2")		\
	X(STALE_DEST, "stale-dest")		\
	X(FOREIGN_VAL2, "foreign-val2")		\
	X(FOREIGN_DEST, "foreign-dest")		\
	X(FOREIGN_ID, "foreign-id")		\
	X(READ_BACK, "read-back")		\
	X(ZERO_DEST, "zero-dest")		\
	X(SKIP_LOCAL, "skip-local")		\
	X(UNSENT, "unsent")			\
	X(SEND_TWICE, "send-twice")		\
	X(FLIP_SENT, "flip-sent")		\
	X(FLIP_TARGET, "flip-target")		\
	X(NO_SHORTHAND, "no-shorthand")		\
	X(IGNORE, "ignore")			\
	X(REFUSE, "refuse")			\
	X(ANSWER, "answer")			\
	X(NEXT_VCPU, "next-vcpu")		\
	X(CLEAR_BIT, "clear-bit")		\
	X(CLEAR_HIGH, "clear-high")		\
	X(FLIP_HOST, "flip-host")		\
	X(TELL, "tell")				\
	X(POKE_TPR, "poke-tpr")			\
	X(POKE_SVR, "poke-svr")			\
	X(POKE_LDR, "poke-ldr")			\
	X(POKE_DFR, "poke-dfr")			\
	X(POKE_LVTT, "poke-lvtt")		\
	X(POKE_LVT0, "poke-lvt0")		\
	X(POKE_LVT1, "poke-lvt1")		\
	X(POKE_LVTERR, "poke-lvterr")		\
	X(POKE_ESR, "poke-esr")			\
	X(POKE_ICR, "poke-icr")			\
	X(POKE_ICR2, "poke-icr2")		\
	X(SET_ISR, "set-isr")			\
	X(SET_IRR, "set-irr")			\
	X(STRAY_IRR, "stray-irr")		\
	X(FLIP_BASE, "flip-base")		\
	X(NMI, "nmi")				\
	X(HALT, "halt")				\
	X(RIP, "rip")				\
	X(FLIP_RFLAGS, "flip-rflags")		\
	X(FLIP_GPR, "flip-gpr")			\
	X(FLIP_CR2, "flip-cr2")			\
	X(FLIP_FS_BASE, "flip-fs-base")		\
	X(SET_SHADOW, "set-shadow")		\
	X(RUN_IF, "run-if")			\
	X(RUN_READY, "run-ready")		\
	X(RUN_BASE, "run-base")			\
	X(RUN_CR8, "run-cr8")			\
	X(RUN_FLAGS, "run-flags")		\
	X(RUN_IMMEDIATE, "run-immediate")	\
	X(RUN_WINDOW, "run-window")		\
	X(LEAK, "leak")				\
	X(FORWARD, "forward")

#define AS_ENUM(id, name)	ACTION_##id,
#define AS_NAME(id, name)	[ACTION_##id] = name,

enum dsm_fault_action { ACTIONS(AS_ENUM) };

static const char * const action_names[] = { ACTIONS(AS_NAME) };

/* When ACTION_LATE tells */
enum { LATE_NEXT_RUN = 1, LATE_NEXT_WRITE, LATE_OTHER_EXIT };

#define MAX_WATCHED	512

/* Written while no virtual machine is there */
static struct dsm_fault_drawn chosen;
static struct dsm_fault_drawn watched[MAX_WATCHED];
static unsigned int nr_watched;
static DECLARE_BITMAP(met, MAX_WATCHED);

int kvm_dsm_action_by_name(const char *name, size_t len)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(action_names); i++) {
		if (strlen(action_names[i]) == len &&
		    !strncmp(action_names[i], name, len))
			return i;
	}
	return -EINVAL;
}

void kvm_dsm_drawn_choose(const struct dsm_fault_drawn *fault)
{
	chosen = *fault;
}

int kvm_dsm_drawn_watch(const struct dsm_fault_drawn *fault)
{
	if (nr_watched == MAX_WATCHED)
		return -ENOSPC;
	watched[nr_watched] = *fault;
	WRITE_ONCE(nr_watched, nr_watched + 1);
	return 0;
}

void kvm_dsm_drawn_watch_none(void)
{
	WRITE_ONCE(nr_watched, 0);
	bitmap_zero(met, MAX_WATCHED);
}

void kvm_dsm_drawn_forget(void)
{
	bitmap_zero(met, MAX_WATCHED);
}

/* The numbers of the watched faults that could have struck */
int kvm_dsm_drawn_met(char *buf)
{
	int len = sysfs_emit(buf, "%*pbl", nr_watched, met);

	return len + sysfs_emit_at(buf, len, "\n");
}

/* True if the chosen fault strikes. */
static bool strikes(const struct dsm_fault_event *event)
{
	unsigned int i, count = READ_ONCE(nr_watched);

	for (i = 0; i < count; i++) {
		if (!test_bit(i, met) && kvm_dsm_drawn_holds(&watched[i], event))
			set_bit(i, met);
	}
	return chosen.action != ACTION_WATCH &&
	       kvm_dsm_drawn_holds(&chosen, event);
}

static void set_register(struct kvm_lapic *apic, u32 reg, u32 val)
{
	*(u32 *)((char *)apic->regs + reg) = val;
}

static void flip_raw(struct kvm_lapic *apic, u32 reg)
{
	set_register(apic, reg,
		     kvm_lapic_get_reg(apic, reg) ^ BIT(chosen.param & 31));
}

static void flip(struct kvm_lapic *apic, u32 reg)
{
	kvm_lapic_reg_write(apic, reg,
			    kvm_lapic_get_reg(apic, reg) ^ BIT(chosen.param & 31));
}

static struct kvm_vcpu *vcpu_behind(struct kvm_vcpu *vcpu, u32 distance)
{
	int count = atomic_read(&vcpu->kvm->online_vcpus);

	return kvm_get_vcpu(vcpu->kvm, (vcpu->vcpu_idx + distance) % count);
}

static void put_in_service(struct kvm_lapic *apic, u8 vector)
{
	u32 reg = APIC_ISR + (vector / 32) * 0x10;
	u32 val = kvm_lapic_get_reg(apic, reg);

	if (val & BIT(vector % 32))
		return;
	set_register(apic, reg, val | BIT(vector % 32));
	apic->isr_count++;
	apic->highest_isr_cache = -1;
	kvm_make_request(KVM_REQ_EVENT, apic->vcpu);
}

/* Neighbours that nobody has written. True if the action is one of these. */
static bool touch(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->arch.apic;
	struct kvm_vcpu *next;

	switch (chosen.action) {
	case ACTION_POKE_TPR:
		flip(apic, APIC_TASKPRI);
		return true;
	case ACTION_POKE_SVR:
		flip(apic, APIC_SPIV);
		return true;
	case ACTION_POKE_LDR:
		flip(apic, APIC_LDR);
		return true;
	case ACTION_POKE_DFR:
		flip(apic, APIC_DFR);
		return true;
	case ACTION_POKE_LVTT:
		flip(apic, APIC_LVTT);
		return true;
	case ACTION_POKE_LVT0:
		flip(apic, APIC_LVT0);
		return true;
	case ACTION_POKE_LVT1:
		flip(apic, APIC_LVT1);
		return true;
	case ACTION_POKE_LVTERR:
		flip(apic, APIC_LVTERR);
		return true;
	case ACTION_POKE_ESR:
		flip_raw(apic, APIC_ESR);
		return true;
	case ACTION_POKE_ICR:
		flip_raw(apic, APIC_ICR);
		return true;
	case ACTION_POKE_ICR2:
		flip_raw(apic, APIC_ICR2);
		return true;
	case ACTION_SET_ISR:
		put_in_service(apic, chosen.param);
		return true;
	case ACTION_SET_IRR:
		kvm_lapic_set_irr(chosen.param & 0xff, apic);
		kvm_make_request(KVM_REQ_EVENT, vcpu);
		kvm_vcpu_kick(vcpu);
		return true;
	case ACTION_STRAY_IRR:
		next = vcpu_behind(vcpu, 1);
		if (next && next != vcpu && lapic_in_kernel(next)) {
			kvm_lapic_set_irr(chosen.param & 0xff, next->arch.apic);
			kvm_make_request(KVM_REQ_EVENT, next);
			kvm_vcpu_kick(next);
		}
		return true;
	case ACTION_FLIP_BASE:
		vcpu->arch.apic_base ^= BIT(chosen.param & 31);
		return true;
	case ACTION_NMI:
		kvm_inject_nmi(vcpu);
		kvm_vcpu_kick(vcpu);
		return true;
	case ACTION_HALT:
		if (vcpu->arch.mp_state == KVM_MP_STATE_RUNNABLE)
			vcpu->arch.mp_state = KVM_MP_STATE_HALTED;
		return true;
	default:
		return false;
	}
}

/*
 * What the local APIC does with an ICR write instead of what it is told to.
 * False: it does what it is told.
 */
static bool send_wrongly(struct kvm_vcpu *vcpu, u32 val)
{
	struct kvm_lapic *apic = vcpu->arch.apic;
	u32 icr2 = kvm_lapic_get_reg(apic, APIC_ICR2);
	u32 sent = val & ~APIC_ICR_BUSY;

	switch (chosen.action) {
	case ACTION_UNSENT:
		kvm_dsm_fault_write_locally(apic, APIC_ICR, val, false);
		return true;
	case ACTION_FLIP_SENT:
		sent ^= BIT(chosen.param & 31);
		break;
	case ACTION_FLIP_TARGET:
		icr2 ^= BIT(24 + (chosen.param & 7));
		break;
	case ACTION_NO_SHORTHAND:
		sent &= ~APIC_SHORT_MASK;
		break;
	default:
		return false;
	}

	kvm_apic_send_ipi(apic, sent, icr2);
	kvm_dsm_fault_write_locally(apic, APIC_ICR, val, false);
	return true;
}

bool kvm_dsm_drawn_write(struct kvm_vcpu *vcpu, u32 reg, u32 val)
{
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);
	struct kvm_dsm_fault_history *history = &state->history;
	struct kvm_dsm_fault_vm *vm = kvm_dsm_fault_vm_of(vcpu->kvm);
	struct kvm_lapic *apic = vcpu->arch.apic;
	u32 icr2 = kvm_lapic_get_reg(apic, APIC_ICR2);
	int which = reg == APIC_ICR2;
	struct dsm_fault_event event = {
		.site = which ? SITE_ICR2 : SITE_ICR,
		.vcpu = vcpu,
		.reg = reg,
		.val = val,
		.dest = GET_XAPIC_DEST_FIELD(icr2),
	};

	history->writes++;
	history->run_writes++;
	history->reg_writes[which]++;
	atomic_inc(&vm->writes);

	state->struck = strikes(&event);

	history->last_reg = reg;
	history->last_val[which] = val;
	history->last_cpu = vcpu->cpu;
	history->last_write = ktime_get_ns();
	WRITE_ONCE(vm->last_writer, vcpu);

	if (!state->struck)
		return false;
	if (chosen.action == ACTION_SKIP_LOCAL ||
	    (reg == APIC_ICR && send_wrongly(vcpu, val))) {
		kvm_dsm_fault_note_write(apic, reg, val);
		return true;
	}
	return false;
}

/* The exit of @notice is told by another vCPU. */
static void tell_elsewhere(struct kvm_vcpu *vcpu,
			   struct kvm_dsm_fault_state *state)
{
	struct kvm_vcpu *next = vcpu_behind(vcpu, chosen.param);

	if (!next || next == vcpu)
		return;
	kvm_dsm_fault_put_elsewhere(next, kvm_dsm_fault_notice(vcpu));
	kvm_vcpu_kick(next);
	kvm_dsm_fault_take_back(vcpu, state);
}

static void tell_late(struct kvm_vcpu *vcpu, struct kvm_dsm_fault_state *state)
{
	state->again = *kvm_dsm_fault_notice(vcpu);
	kvm_dsm_fault_take_back(vcpu, state);
	switch (chosen.param) {
	case LATE_NEXT_WRITE:
		state->tell_after_write = true;
		break;
	case LATE_OTHER_EXIT:
		state->told = true;
		break;
	default:
		state->tell_again = true;
	}
}

/* What is wrong with the notice of a write that the fault strikes at */
static void spoil(struct kvm_vcpu *vcpu, struct kvm_dsm_fault_state *state,
		  u32 reg, u32 val)
{
	struct kvm_dsm_fault_vm *vm = kvm_dsm_fault_vm_of(vcpu->kvm);
	struct kvm_dsm_lapic_irq *notice = kvm_dsm_fault_notice(vcpu);
	bool foreign = vm->last_teller && vm->last_teller != vcpu;
	u32 bit = BIT(chosen.param & 31);

	switch (chosen.action) {
	case ACTION_LOSE:
		kvm_dsm_fault_take_back(vcpu, state);
		break;
	case ACTION_DOUBLE:
		state->again = *notice;
		state->tell_again = true;
		break;
	case ACTION_LATE:
		tell_late(vcpu, state);
		break;
	case ACTION_OTHER_VCPU:
		tell_elsewhere(vcpu, state);
		break;
	case ACTION_FLIP_VAL:
		notice->val ^= bit;
		break;
	case ACTION_FLIP_VAL2:
		notice->val2 ^= bit;
		break;
	case ACTION_FLIP_DEST:
		notice->dest_id ^= bit;
		break;
	case ACTION_STALE_VAL2:
		notice->val2 = state->last.val2;
		break;
	case ACTION_STALE_DEST:
		notice->dest_id = state->last.dest_id;
		break;
	case ACTION_FOREIGN_VAL2:
		if (foreign)
			notice->val2 = vm->last.val2;
		break;
	case ACTION_FOREIGN_DEST:
		if (foreign)
			notice->dest_id = vm->last.dest_id;
		break;
	case ACTION_READ_BACK:
		notice->val2 = kvm_lapic_get_reg(vcpu->arch.apic, reg);
		break;
	case ACTION_ZERO_DEST:
		notice->dest_id = 0;
		break;
	case ACTION_SEND_TWICE:
		state->val = val;
		state->icr2 = kvm_lapic_get_reg(vcpu->arch.apic, APIC_ICR2);
		state->deferred = true;
		break;
	default:
		state->spoil_exit = !touch(vcpu);
		state->foreign_id = foreign ? vm->last.id : vcpu->vcpu_id;
	}
}

void kvm_dsm_drawn_noted(struct kvm_vcpu *vcpu, u32 reg, u32 val)
{
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);
	struct kvm_dsm_fault_vm *vm = kvm_dsm_fault_vm_of(vcpu->kvm);
	struct kvm_dsm_lapic_irq notice = *kvm_dsm_fault_notice(vcpu);

	notice.id = vcpu->vcpu_id;
	if (state->tell_after_write) {
		state->tell_after_write = false;
		state->tell_again = true;
	}
	if (state->struck)
		spoil(vcpu, state, reg, val);
	state->struck = false;
	state->last = notice;
	vm->last = notice;
	WRITE_ONCE(vm->last_teller, vcpu);
}

void kvm_dsm_drawn_other(struct kvm_vcpu *vcpu, u32 reg, u32 val)
{
	struct dsm_fault_event event = {
		.site = SITE_OTHER,
		.vcpu = vcpu,
		.reg = reg,
		.val = val,
	};

	if (strikes(&event) && chosen.action == ACTION_FORWARD)
		kvm_dsm_fault_note(vcpu, reg, val);
}

/* Tells another vCPU of the machine what only this one is to be told. */
static void leak(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu *next = vcpu_behind(vcpu, 1);

	if (next && next != vcpu)
		next->run->lapic_irq = vcpu->run->lapic_irq;
}

void kvm_dsm_drawn_exit(struct kvm_vcpu *vcpu)
{
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);
	struct kvm_run *run = vcpu->run;
	u32 bit = BIT(chosen.param & 31);
	struct kvm_segment fs;

	state->telling_again = false;
	if (!state->spoil_exit)
		return;
	state->spoil_exit = false;
	state->spoil_return = true;

	switch (chosen.action) {
	case ACTION_REASON:
		run->exit_reason = chosen.param;
		break;
	case ACTION_FLIP_ID:
		run->lapic_irq.id ^= bit;
		break;
	case ACTION_FOREIGN_ID:
		run->lapic_irq.id = state->foreign_id;
		break;
	case ACTION_RIP:
		kvm_rip_write(vcpu, kvm_rip_read(vcpu) + chosen.param);
		break;
	case ACTION_FLIP_RFLAGS:
		kvm_set_rflags(vcpu, kvm_get_rflags(vcpu) ^ bit);
		break;
	case ACTION_FLIP_GPR:
		kvm_register_write_raw(vcpu, chosen.param & 15,
				       kvm_register_read_raw(vcpu, chosen.param & 15) ^ 1);
		break;
	case ACTION_FLIP_CR2:
		vcpu->arch.cr2 ^= 1;
		break;
	case ACTION_FLIP_FS_BASE:
		kvm_get_segment(vcpu, &fs, VCPU_SREG_FS);
		fs.base ^= BIT(4);
		kvm_x86_call(set_segment)(vcpu, &fs, VCPU_SREG_FS);
		break;
	case ACTION_SET_SHADOW:
		kvm_x86_call(set_interrupt_shadow)(vcpu, KVM_X86_SHADOW_INT_STI);
		break;
	case ACTION_LEAK:
		leak(vcpu);
		break;
	}
}

void kvm_dsm_drawn_run(struct kvm_vcpu *vcpu)
{
	struct kvm_dsm_fault_history *history =
		&kvm_dsm_fault_state_of(vcpu)->history;

	history->runs++;
	history->run_writes = 0;
	history->run_began = ktime_get_ns();
}

void kvm_dsm_drawn_return(struct kvm_vcpu *vcpu, int r)
{
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);
	struct kvm_run *run = vcpu->run;
	u32 bit = BIT(chosen.param & 31);

	if (r == 0)
		state->history.last_exit = run->exit_reason;
	/* ACTION_LATE, behind another exit */
	if (r == 0 && state->told &&
	    run->exit_reason != KVM_EXIT_DSM_SEND_IRQ) {
		state->told = false;
		state->tell_again = true;
	}
	if (!state->spoil_return)
		return;
	state->spoil_return = false;

	switch (chosen.action) {
	case ACTION_RUN_IF:
		run->if_flag = !run->if_flag;
		break;
	case ACTION_RUN_READY:
		run->ready_for_interrupt_injection =
			!run->ready_for_interrupt_injection;
		break;
	case ACTION_RUN_BASE:
		run->apic_base ^= bit;
		break;
	case ACTION_RUN_CR8:
		run->cr8 ^= bit;
		break;
	case ACTION_RUN_FLAGS:
		run->flags |= bit;
		break;
	case ACTION_RUN_IMMEDIATE:
		run->immediate_exit__unsafe = 1;
		break;
	case ACTION_RUN_WINDOW:
		run->request_interrupt_window = 1;
		break;
	}
}

/* False: the ioctl does not get as far as to a local APIC. */
static bool event_of_replay(struct kvm *kvm, unsigned int ioctl, void *arg,
			    struct dsm_fault_event *event)
{
	struct kvm_dsm_apic_base_arg *base = arg;
	struct kvm_dsm_x2apic_arg *x2apic = arg;
	struct kvm_dsm_ipi_arg *ipi = arg;
	struct kvm_lapic *apic;

	memset(event, 0, sizeof(*event));
	/* It comes first in all three. */
	if (ipi->vcpu_id < 0)
		return false;
	event->vcpu = kvm_dsm_fault_vcpu(kvm, ipi->vcpu_id);
	if (!event->vcpu || !lapic_in_kernel(event->vcpu))
		return false;
	apic = event->vcpu->arch.apic;
	event->dest = GET_XAPIC_DEST_FIELD(kvm_lapic_get_reg(apic, APIC_ICR2));

	switch (ioctl) {
	case KVM_DSM_IPI:
		event->reg = ipi->val;
		event->val = ipi->val2;
		event->arg_dest = ipi->dest_id;
		event->site = ipi->val == APIC_ICR2 ? SITE_IPI_ICR2 : SITE_IPI_ICR;
		return ipi->val == APIC_ICR2 || ipi->val == APIC_ICR;
	case KVM_DSM_X2APIC:
		event->site = SITE_X2APIC;
		event->reg = APIC_ICR;
		event->val = x2apic->data;
		event->dest = x2apic->data >> 32;
		if (!apic_x2apic_mode(apic))
			event->dest >>= 24;
		return true;
	default:
		event->site = SITE_BASE;
		event->val = base->data;
		event->host = base->host;
		return true;
	}
}

/* Alters the argument. */
static void misread(struct kvm *kvm, unsigned int ioctl, void *arg)
{
	struct kvm_dsm_apic_base_arg *base = arg;
	struct kvm_dsm_x2apic_arg *x2apic = arg;
	struct kvm_dsm_ipi_arg *ipi = arg;
	u64 bit = BIT_ULL(chosen.param & 31);

	switch (chosen.action) {
	case ACTION_NEXT_VCPU:
		ipi->vcpu_id = (ipi->vcpu_id + chosen.param) %
			       atomic_read(&kvm->online_vcpus);
		break;
	case ACTION_CLEAR_BIT:
		if (ioctl == KVM_DSM_IPI)
			ipi->val2 &= ~bit;
		else if (ioctl == KVM_DSM_X2APIC)
			x2apic->data &= ~bit;
		else
			base->data &= ~bit;
		break;
	case ACTION_CLEAR_HIGH:
		if (ioctl == KVM_DSM_X2APIC)
			x2apic->data &= ~(bit << 32);
		break;
	case ACTION_FLIP_HOST:
		if (ioctl == KVM_DSM_APIC_BASE)
			base->host = !base->host;
		break;
	}
}

bool kvm_dsm_drawn_replay(struct kvm *kvm, unsigned int ioctl, void *arg,
			  int *answer)
{
	struct kvm_dsm_fault_vm *vm = kvm_dsm_fault_vm_of(kvm);
	struct dsm_fault_event event;
	int idx;

	vm->replay_struck = false;
	if (!event_of_replay(kvm, ioctl, arg, &event))
		return false;

	idx = srcu_read_lock(&kvm->srcu);
	vm->replay_struck = strikes(&event);
	srcu_read_unlock(&kvm->srcu, idx);
	if (!vm->replay_struck)
		return false;

	*answer = 0;
	switch (chosen.action) {
	case ACTION_REFUSE:
		*answer = -(int)(chosen.param & 0xff);
		return true;
	case ACTION_IGNORE:
		return true;
	}
	if (event.site == SITE_IPI_ICR && send_wrongly(event.vcpu, event.val))
		return true;
	misread(kvm, ioctl, arg);
	return false;
}

int kvm_dsm_drawn_replayed(struct kvm *kvm, unsigned int ioctl, void *arg)
{
	struct kvm_dsm_fault_vm *vm = kvm_dsm_fault_vm_of(kvm);
	struct dsm_fault_event event;

	if (!vm->replay_struck || !event_of_replay(kvm, ioctl, arg, &event))
		return 0;

	switch (chosen.action) {
	case ACTION_ANSWER:
		return -(int)(chosen.param & 0xff);
	case ACTION_TELL:
		kvm_dsm_fault_note(event.vcpu, event.reg, event.val);
		kvm_vcpu_kick(event.vcpu);
		return 0;
	case ACTION_SEND_TWICE:
		kvm_apic_send_ipi(event.vcpu->arch.apic,
				  event.val & ~APIC_ICR_BUSY,
				  kvm_lapic_get_reg(event.vcpu->arch.apic, APIC_ICR2));
		return 0;
	default:
		touch(event.vcpu);
		return 0;
	}
}
