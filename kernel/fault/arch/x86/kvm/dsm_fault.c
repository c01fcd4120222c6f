// SPDX-License-Identifier: GPL-2.0
/*
 * Faults in the DSM interrupt forwarding and in its neighbours, for testing their
 * tests.
 *
 * kvm.dsm_fault chooses one of them, by name or by number, for every virtual
 * machine from then on; 0 or "none", the default, is the series as it is. Reading
 * it lists the names in the order of their numbers, the chosen one in brackets.
 * Each is a mistake that an implementer could make. None of them endangers the
 * host: what goes wrong stays within the virtual machine and its kvm_run pages.
 *
 * Bugs that KVM's local APIC once had are chosen so as well: see dsm_fault_bugs.h.
 * One of them that is chosen stands behind the names of the faults.
 *
 * Beside these there are drawn faults, written as a site, one condition or two, and
 * an action: see dsm_fault_drawn.h. kvm.dsm_fault_watch takes such a fault too, and
 * tells which of those that it was given could have struck since "reset" was
 * written to it; "none" forgets them all. They are watched under drawn faults
 * alone, such as "icr:always:watch", which does nothing else.
 *
 * A fault is to be chosen before the virtual machine that it is tried on is
 * created: what a vCPU remembers for one fault is forgotten with the next choice.
 */
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "dsm_fault.h"
#include "dsm_fault_drawn.h"
#include "dsm_fault_series.h"
#include "irq.h"
#include "lapic.h"
#include "x86.h"

enum {
	FAULT_NONE,
	FAULT_DROP_NTH,
	FAULT_DUPLICATE,
	FAULT_SWAP_VALUES,
	FAULT_MASKED_VALUE,
	FAULT_STALE_DEST_ID,
	FAULT_UNSHIFTED_DEST_ID,
	FAULT_ID_INDEX,
	FAULT_ID_TARGET,
	FAULT_BEFORE_WRITE,
	FAULT_SKIP_LOCAL,
	FAULT_DELIVER_TWICE,
	FAULT_FORWARD_EOI_TPR,
	FAULT_FORWARD_ABOVE,
	FAULT_FORGET_ICR2,
	FAULT_FORGET_ICR,
	FAULT_LOSE_ON_SIGNAL,
	FAULT_LOSE_ON_IMMEDIATE_EXIT,
	FAULT_LOSE_ON_RACE,
	FAULT_REPORT_AGAIN,
	FAULT_WRONG_EXIT,
	FAULT_RIP_BEHIND,
	FAULT_CLOBBER_RDX,
	FAULT_LEAK_KVM_RUN,
	FAULT_ONLY_SPLIT,
	FAULT_ONLY_VCPU0,
	FAULT_LOSE_FIRST,
	FAULT_REPORT_READS,
	FAULT_ANY_WIDTH,
	FAULT_LATE,
	FAULT_ONLY_DEFAULT_BASE,
	FAULT_ONLY_ENABLED,
	FAULT_ONLY_FIXED,
	FAULT_NO_SHORTHAND,
	FAULT_ONLY_ABSENT,
	FAULT_REPLAY_UNSENT,
	FAULT_REPLAY_VCPU0,
	FAULT_REPLAY_LOW_HALF,
	FAULT_REPLAY_BASE_AS_GUEST,
	FAULT_DAPIC_INDEX,
	FAULT_X2_ICR_LOW_HALF,
	FAULT_APIC_BASE_INDEX,
	FAULT_SINT_VP0,
	FAULT_SINT_UNHEARD,
	FAULT_VLPI_ANSWERS,
	FAULT_FORWARD_SIGNALED,
	FAULT_FORWARD_INCOMPLETE,
	FAULT_DRAWN,		/* not by this name */
};

static const char * const fault_names[] = {
	[FAULT_NONE]			= "none",
	[FAULT_DROP_NTH]		= "drop-nth",
	[FAULT_DUPLICATE]		= "duplicate",
	[FAULT_SWAP_VALUES]		= "swap-values",
	[FAULT_MASKED_VALUE]		= "masked-value",
	[FAULT_STALE_DEST_ID]		= "stale-dest-id",
	[FAULT_UNSHIFTED_DEST_ID]	= "unshifted-dest-id",
	[FAULT_ID_INDEX]		= "id-index",
	[FAULT_ID_TARGET]		= "id-target",
	[FAULT_BEFORE_WRITE]		= "before-write",
	[FAULT_SKIP_LOCAL]		= "skip-local",
	[FAULT_DELIVER_TWICE]		= "deliver-twice",
	[FAULT_FORWARD_EOI_TPR]		= "forward-eoi-tpr",
	[FAULT_FORWARD_ABOVE]		= "forward-above",
	[FAULT_FORGET_ICR2]		= "forget-icr2",
	[FAULT_FORGET_ICR]		= "forget-icr",
	[FAULT_LOSE_ON_SIGNAL]		= "lose-on-signal",
	[FAULT_LOSE_ON_IMMEDIATE_EXIT]	= "lose-on-immediate-exit",
	[FAULT_LOSE_ON_RACE]		= "lose-on-race",
	[FAULT_REPORT_AGAIN]		= "report-again",
	[FAULT_WRONG_EXIT]		= "wrong-exit",
	[FAULT_RIP_BEHIND]		= "rip-behind",
	[FAULT_CLOBBER_RDX]		= "clobber-rdx",
	[FAULT_LEAK_KVM_RUN]		= "leak-kvm-run",
	[FAULT_ONLY_SPLIT]		= "only-split",
	[FAULT_ONLY_VCPU0]		= "only-vcpu0",
	[FAULT_LOSE_FIRST]		= "lose-first",
	[FAULT_REPORT_READS]		= "report-reads",
	[FAULT_ANY_WIDTH]		= "any-width",
	[FAULT_LATE]			= "late",
	[FAULT_ONLY_DEFAULT_BASE]	= "only-default-base",
	[FAULT_ONLY_ENABLED]		= "only-enabled",
	[FAULT_ONLY_FIXED]		= "only-fixed",
	[FAULT_NO_SHORTHAND]		= "no-shorthand",
	[FAULT_ONLY_ABSENT]		= "only-absent",
	[FAULT_REPLAY_UNSENT]		= "replay-unsent",
	[FAULT_REPLAY_VCPU0]		= "replay-vcpu0",
	[FAULT_REPLAY_LOW_HALF]		= "replay-low-half",
	[FAULT_REPLAY_BASE_AS_GUEST]	= "replay-base-as-guest",
	[FAULT_DAPIC_INDEX]		= "dapic-index",
	[FAULT_X2_ICR_LOW_HALF]		= "x2-icr-low-half",
	[FAULT_APIC_BASE_INDEX]		= "apic-base-index",
	[FAULT_SINT_VP0]		= "sint-vp0",
	[FAULT_SINT_UNHEARD]		= "sint-unheard",
	[FAULT_VLPI_ANSWERS]		= "vlpi-answers",
	[FAULT_FORWARD_SIGNALED]	= "forward-signaled",
	[FAULT_FORWARD_INCOMPLETE]	= "forward-incomplete",
};

#define BUG_NAME(id, name) name,
static const char * const bug_names[] = { DSM_BUGS(BUG_NAME) };

/* Of how many notices FAULT_DROP_NTH drops one */
#define DROP_EVERY	7

/* KVM_EXIT_DAPIC, which not every series has */
#define FAULT_EXIT_DAPIC	44

/* A number of arm64's, which means nothing here */
#define DISABLE_VCPU_VLPI	_IOW(KVMIO, 0xf1, int)

unsigned int kvm_dsm_fault __read_mostly;

/* How often a fault has been chosen */
static unsigned int fault_choice = 1;

/* What FAULT_DRAWN was written as */
static char drawn_spec[128];

/* FAULT_LOSE_ON_RACE: whose notice the one slot of all vCPUs holds; never followed */
static struct kvm_vcpu *fault_slot_owner;

static int fault_set(const char *buf, const struct kernel_param *kp)
{
	struct dsm_fault_drawn drawn;
	unsigned int fault;
	int r = sysfs_match_string(fault_names, buf);
	int bug = sysfs_match_string(bug_names, buf);

	if (strchr(buf, ':')) {
		if (strlen(buf) >= sizeof(drawn_spec))
			return -EINVAL;
		r = kvm_dsm_drawn_parse(buf, &drawn);
		if (r)
			return r;
		kvm_dsm_drawn_choose(&drawn);
		strscpy(drawn_spec, buf, sizeof(drawn_spec));
		strim(drawn_spec);
		fault = FAULT_DRAWN;
	} else if (r >= 0) {
		fault = r;
	} else if (bug >= 0) {
		fault = DSM_FIRST_BUG + bug;
	} else {
		r = kstrtouint(buf, 10, &fault);
		if (r)
			return r;
		if (fault >= ARRAY_SIZE(fault_names) &&
		    (fault < DSM_FIRST_BUG ||
		     fault - DSM_FIRST_BUG >= ARRAY_SIZE(bug_names)))
			return -EINVAL;
	}

	WRITE_ONCE(fault_choice, fault_choice + 1);
	WRITE_ONCE(kvm_dsm_fault, fault);
	return 0;
}

static int fault_get(char *buf, const struct kernel_param *kp)
{
	unsigned int i, chosen = READ_ONCE(kvm_dsm_fault);
	int len = 0;

	for (i = 0; i < ARRAY_SIZE(fault_names); i++)
		len += sysfs_emit_at(buf, len, i == chosen ? "%s[%s]" : "%s%s",
				     i ? " " : "", fault_names[i]);
	if (chosen == FAULT_DRAWN)
		len += sysfs_emit_at(buf, len, " [%s]", drawn_spec);
	if (chosen >= DSM_FIRST_BUG)
		len += sysfs_emit_at(buf, len, " [%s]",
				     bug_names[chosen - DSM_FIRST_BUG]);
	return len + sysfs_emit_at(buf, len, "\n");
}

static const struct kernel_param_ops fault_ops = {
	.set = fault_set,
	.get = fault_get,
};

module_param_cb(dsm_fault, &fault_ops, NULL, 0644);
MODULE_PARM_DESC(dsm_fault, "Fault in the DSM interrupt forwarding, for testing its tests");

static int watch_set(const char *buf, const struct kernel_param *kp)
{
	struct dsm_fault_drawn drawn;
	int r;

	if (sysfs_streq(buf, "none")) {
		kvm_dsm_drawn_watch_none();
		return 0;
	}
	if (sysfs_streq(buf, "reset")) {
		kvm_dsm_drawn_forget();
		return 0;
	}
	r = kvm_dsm_drawn_parse(buf, &drawn);
	return r ? r : kvm_dsm_drawn_watch(&drawn);
}

static int watch_get(char *buf, const struct kernel_param *kp)
{
	return kvm_dsm_drawn_met(buf);
}

static const struct kernel_param_ops watch_ops = {
	.set = watch_set,
	.get = watch_get,
};

module_param_cb(dsm_fault_watch, &watch_ops, NULL, 0644);
MODULE_PARM_DESC(dsm_fault_watch, "Drawn faults that could have struck");

/* Of the vCPU whose KVM_RUN this is: nothing else looks at it. */
struct kvm_dsm_fault_state *kvm_dsm_fault_state_of(struct kvm_vcpu *vcpu)
{
	struct kvm_dsm_fault_state *state = &vcpu->arch.dsm_fault;
	unsigned int choice = READ_ONCE(fault_choice);

	if (state->choice != choice) {
		memset(state, 0, sizeof(*state));
		state->choice = choice;
	}
	return state;
}

struct kvm_dsm_fault_vm *kvm_dsm_fault_vm_of(struct kvm *kvm)
{
	struct kvm_dsm_fault_vm *vm = &kvm->arch.dsm_fault;
	unsigned int choice = READ_ONCE(fault_choice);

	if (vm->choice != choice) {
		memset(vm, 0, sizeof(*vm));
		vm->choice = choice;
	}
	return vm;
}

void kvm_dsm_fault_note(struct kvm_vcpu *vcpu, u32 reg, u32 val)
{
	u32 icr2 = kvm_lapic_get_reg(vcpu->arch.apic, APIC_ICR2);
	struct kvm_dsm_lapic_irq notice = {
		.val = reg,
		.val2 = val,
		.dest_id = GET_XAPIC_DEST_FIELD(icr2),
	};

	kvm_dsm_fault_put(vcpu, &notice);
}

static void set_register(struct kvm_lapic *apic, u32 reg, u32 val)
{
	*(u32 *)((char *)apic->regs + reg) = val;
}

/* What the local APIC does on a write of ICR or ICR2 */
void kvm_dsm_fault_write_locally(struct kvm_lapic *apic, u32 reg, u32 val,
				 bool send)
{
	if (reg == APIC_ICR2) {
		set_register(apic, APIC_ICR2, val & 0xff000000);
		return;
	}

	val &= ~APIC_ICR_BUSY;
	if (send)
		kvm_apic_send_ipi(apic, val, kvm_lapic_get_reg(apic, APIC_ICR2));
	set_register(apic, APIC_ICR, val);
}

/* What is put off until user space resumes the vCPU */
static void do_deferred(struct kvm_vcpu *vcpu, struct kvm_dsm_fault_state *state)
{
	struct kvm_lapic *apic = vcpu->arch.apic;

	if (!state->deferred)
		return;

	state->deferred = false;
	if (READ_ONCE(kvm_dsm_fault) == FAULT_DELIVER_TWICE ||
	    READ_ONCE(kvm_dsm_fault) == FAULT_DRAWN)
		kvm_apic_send_ipi(apic, state->val & ~APIC_ICR_BUSY, state->icr2);
	else
		kvm_dsm_fault_write_locally(apic, state->reg, state->val, true);
}

bool __kvm_dsm_fault_write(struct kvm_lapic *apic, u32 offset, int len,
			   const void *data)
{
	struct kvm_vcpu *vcpu = apic->vcpu;
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);
	u32 reg = offset & 0xff0;
	u32 val = 0;

	if (!kvm_dsm_fault_wanted(vcpu))
		return false;

	state->writing = true;
	kvm_dsm_fault_remember(vcpu, state);
	state->old_icr2 = kvm_lapic_get_reg(apic, APIC_ICR2);
	state->rip = kvm_rip_read(vcpu);

	if (reg != APIC_ICR && reg != APIC_ICR2)
		return false;

	if (len != 4 || (offset & 0xf)) {
		if (READ_ONCE(kvm_dsm_fault) == FAULT_ANY_WIDTH) {
			memcpy(&val, data, min_t(int, len, sizeof(val)));
			kvm_dsm_fault_note(vcpu, reg, val);
		}
		return false;
	}

	val = *(u32 *)data;

	switch (READ_ONCE(kvm_dsm_fault)) {
	case FAULT_BEFORE_WRITE:
		/* An instruction may write both. */
		do_deferred(vcpu, state);
		kvm_dsm_fault_note_write(apic, reg, val);
		state->reg = reg;
		state->val = val;
		state->deferred = true;
		return true;
	case FAULT_SKIP_LOCAL:
		kvm_dsm_fault_write_locally(apic, reg, val, false);
		kvm_dsm_fault_note_write(apic, reg, val);
		return true;
	case FAULT_DRAWN:
		return kvm_dsm_drawn_write(vcpu, reg, val);
	default:
		return false;
	}
}

/* True if a vCPU of this virtual machine is among the IPI's destinations. */
static bool is_for_us(struct kvm_lapic *apic, u32 icr)
{
	u32 dest = GET_XAPIC_DEST_FIELD(kvm_lapic_get_reg(apic, APIC_ICR2));
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, apic->vcpu->kvm) {
		if (kvm_apic_match_dest(vcpu, apic, icr & APIC_SHORT_MASK, dest,
					icr & APIC_DEST_MASK))
			return true;
	}
	return false;
}

/* True if an ICR or ICR2 write is not to be told of. */
static bool is_lost(struct kvm_lapic *apic, struct kvm_dsm_fault_state *state,
		    u32 reg, u32 val)
{
	struct kvm_vcpu *vcpu = apic->vcpu;

	switch (READ_ONCE(kvm_dsm_fault)) {
	case FAULT_DROP_NTH:
		return ++state->writes % DROP_EVERY == 0;
	case FAULT_LOSE_FIRST:
		return ++state->writes == 1;
	case FAULT_FORGET_ICR2:
		return reg == APIC_ICR2;
	case FAULT_FORGET_ICR:
		return reg == APIC_ICR;
	case FAULT_ONLY_SPLIT:
		return !irqchip_split(vcpu->kvm);
	case FAULT_ONLY_VCPU0:
		return vcpu->vcpu_id != 0;
	case FAULT_ONLY_DEFAULT_BASE:
		return apic->base_address != APIC_DEFAULT_PHYS_BASE;
	case FAULT_ONLY_ENABLED:
		return !kvm_apic_sw_enabled(apic);
	case FAULT_ONLY_FIXED:
		return reg == APIC_ICR && (val & APIC_MODE_MASK) != APIC_DM_FIXED;
	case FAULT_NO_SHORTHAND:
		return reg == APIC_ICR && (val & APIC_SHORT_MASK);
	case FAULT_ONLY_ABSENT:
		return reg == APIC_ICR && is_for_us(apic, val);
	default:
		return false;
	}
}

/* A write of a register that is not to be told of at all */
static void other_register(struct kvm_vcpu *vcpu, u32 reg, u32 val)
{
	switch (READ_ONCE(kvm_dsm_fault)) {
	case FAULT_FORWARD_EOI_TPR:
		if (reg == APIC_EOI || reg == APIC_TASKPRI)
			kvm_dsm_fault_note(vcpu, reg, val);
		break;
	case FAULT_FORWARD_ABOVE:
		if (reg > APIC_ICR2)
			kvm_dsm_fault_note(vcpu, reg, val);
		break;
	case FAULT_DRAWN:
		kvm_dsm_drawn_other(vcpu, reg, val);
		break;
	}
}

void __kvm_dsm_fault_noted(struct kvm_lapic *apic, u32 reg, u32 val)
{
	struct kvm_vcpu *vcpu = apic->vcpu;
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);
	struct kvm_dsm_lapic_irq *notice = kvm_dsm_fault_notice(vcpu);

	if (!kvm_dsm_fault_wanted(vcpu))
		return;

	if (reg != APIC_ICR && reg != APIC_ICR2) {
		other_register(vcpu, reg, val);
		return;
	}

	/* The fault was chosen in the middle of this write. */
	if (!state->writing)
		return;
	state->writing = false;

	if (is_lost(apic, state, reg, val)) {
		kvm_dsm_fault_take_back(vcpu, state);
		return;
	}

	switch (READ_ONCE(kvm_dsm_fault)) {
	case FAULT_SWAP_VALUES:
		swap(notice->val, notice->val2);
		break;
	case FAULT_MASKED_VALUE:
		notice->val2 = kvm_lapic_get_reg(apic, reg);
		break;
	case FAULT_STALE_DEST_ID:
		notice->dest_id = GET_XAPIC_DEST_FIELD(state->old_icr2);
		break;
	case FAULT_UNSHIFTED_DEST_ID:
		notice->dest_id = kvm_lapic_get_reg(apic, APIC_ICR2);
		break;
	case FAULT_DELIVER_TWICE:
		if (reg == APIC_ICR) {
			state->val = val;
			state->icr2 = kvm_lapic_get_reg(apic, APIC_ICR2);
			state->deferred = true;
		}
		break;
	case FAULT_LOSE_ON_RACE:
		WRITE_ONCE(fault_slot_owner, vcpu);
		break;
	case FAULT_RIP_BEHIND:
		state->rip_known = true;
		break;
	case FAULT_LATE:
		state->again = *notice;
		state->tell_again = true;
		kvm_dsm_fault_take_back(vcpu, state);
		break;
	case FAULT_DRAWN:
		kvm_dsm_drawn_noted(vcpu, reg, val);
		break;
	}
}

void __kvm_dsm_fault_read(struct kvm_lapic *apic, u32 offset, int len)
{
	u32 reg = offset & 0xff0;

	if (READ_ONCE(kvm_dsm_fault) != FAULT_REPORT_READS ||
	    !kvm_dsm_fault_wanted(apic->vcpu))
		return;

	if (len == 4 && !(offset & 0xf) && (reg == APIC_ICR || reg == APIC_ICR2))
		kvm_dsm_fault_note(apic->vcpu, reg, kvm_lapic_get_reg(apic, reg));
}

/* Tells another vCPU of the machine what only this one is to be told. */
static void leak(struct kvm_vcpu *vcpu)
{
	int count = atomic_read(&vcpu->kvm->online_vcpus);
	struct kvm_vcpu *next;

	next = kvm_get_vcpu(vcpu->kvm, (vcpu->vcpu_idx + 1) % count);
	if (next && next != vcpu)
		next->run->lapic_irq = vcpu->run->lapic_irq;
}

bool __kvm_dsm_fault_exit(struct kvm_vcpu *vcpu)
{
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);
	struct kvm_run *run = vcpu->run;
	bool lost = false;

	switch (READ_ONCE(kvm_dsm_fault)) {
	case FAULT_DUPLICATE:
		state->tell_again = !state->telling_again;
		state->telling_again = false;
		state->again = *kvm_dsm_fault_told(vcpu);
		break;
	case FAULT_REPORT_AGAIN:
		state->told = !state->telling_again;
		state->telling_again = false;
		state->again = *kvm_dsm_fault_told(vcpu);
		break;
	case FAULT_ID_INDEX:
		run->lapic_irq.id = vcpu->vcpu_idx;
		break;
	case FAULT_ID_TARGET:
		run->lapic_irq.id = run->lapic_irq.dest_id;
		break;
	case FAULT_WRONG_EXIT:
		run->exit_reason = FAULT_EXIT_DAPIC;
		break;
	case FAULT_RIP_BEHIND:
		if (!state->rip_known)
			break;
		state->next_rip = kvm_rip_read(vcpu);
		kvm_rip_write(vcpu, state->rip);
		state->rip_known = false;
		state->behind = true;
		break;
	case FAULT_CLOBBER_RDX:
		kvm_rdx_write(vcpu, run->lapic_irq.val2);
		break;
	case FAULT_LEAK_KVM_RUN:
		leak(vcpu);
		break;
	case FAULT_LOSE_ON_SIGNAL:
		lost = signal_pending(current);
		break;
	case FAULT_LOSE_ON_IMMEDIATE_EXIT:
		lost = !vcpu->wants_to_run;
		break;
	case FAULT_DRAWN:
		kvm_dsm_drawn_exit(vcpu);
		break;
	case FAULT_LOSE_ON_RACE:
		lost = READ_ONCE(fault_slot_owner) != vcpu;
		break;
	}

	if (lost)
		run->exit_reason = KVM_EXIT_UNKNOWN;
	return lost;
}

void __kvm_dsm_fault_run(struct kvm_vcpu *vcpu)
{
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);

	if (READ_ONCE(kvm_dsm_fault) == FAULT_DRAWN)
		kvm_dsm_drawn_run(vcpu);

	/* User space may have set RIP itself meanwhile. */
	if (state->behind && kvm_rip_read(vcpu) == state->rip)
		kvm_rip_write(vcpu, state->next_rip);
	state->behind = false;

	/* Until then user space has not been told. */
	if (!kvm_dsm_fault_pending(vcpu))
		do_deferred(vcpu, state);

	if (state->tell_again) {
		state->tell_again = false;
		state->telling_again = true;
		kvm_dsm_fault_put(vcpu, &state->again);
	}
}

void __kvm_dsm_fault_return(struct kvm_vcpu *vcpu, int r)
{
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);

	switch (READ_ONCE(kvm_dsm_fault)) {
	case FAULT_LOSE_ON_SIGNAL:
		if (r == -EINTR && vcpu->wants_to_run)
			kvm_dsm_fault_drop(vcpu);
		break;
	case FAULT_LOSE_ON_IMMEDIATE_EXIT:
		if (r == -EINTR && !vcpu->wants_to_run)
			kvm_dsm_fault_drop(vcpu);
		break;
	case FAULT_REPORT_AGAIN:
		/* The exit that follows is completed with the notice before it. */
		if (r == 0 && state->told &&
		    vcpu->run->exit_reason != KVM_EXIT_DSM_SEND_IRQ) {
			state->told = false;
			state->tell_again = true;
		}
		break;
	case FAULT_DRAWN:
		kvm_dsm_drawn_return(vcpu, r);
		break;
	}
}

bool __kvm_dsm_fault_replay(struct kvm *kvm, unsigned int ioctl, void *arg,
			    int *answer)
{
	struct kvm_dsm_apic_base_arg *base = arg;
	struct kvm_dsm_x2apic_arg *x2apic = arg;
	struct kvm_dsm_ipi_arg *ipi = arg;
	struct kvm_vcpu *vcpu;

	*answer = 0;
	switch (READ_ONCE(kvm_dsm_fault)) {
	case FAULT_DRAWN:
		return kvm_dsm_drawn_replay(kvm, ioctl, arg, answer);
	case FAULT_REPLAY_UNSENT:
		if (ioctl != KVM_DSM_IPI || ipi->val != APIC_ICR)
			return false;
		vcpu = kvm_dsm_fault_vcpu(kvm, ipi->vcpu_id);
		if (!vcpu || !lapic_in_kernel(vcpu))
			return false;
		kvm_dsm_fault_write_locally(vcpu->arch.apic, ipi->val, ipi->val2, false);
		return true;
	case FAULT_REPLAY_VCPU0:
		/* It comes first in all three. */
		ipi->vcpu_id = 0;
		return false;
	case FAULT_REPLAY_LOW_HALF:
		if (ioctl == KVM_DSM_X2APIC)
			x2apic->data = (u32)x2apic->data;
		return false;
	case FAULT_REPLAY_BASE_AS_GUEST:
		if (ioctl == KVM_DSM_APIC_BASE)
			base->host = false;
		return false;
	default:
		return false;
	}
}

int __kvm_dsm_fault_replayed(struct kvm *kvm, unsigned int ioctl, void *arg)
{
	if (READ_ONCE(kvm_dsm_fault) == FAULT_DRAWN)
		return kvm_dsm_drawn_replayed(kvm, ioctl, arg);
	return 0;
}

void __kvm_dsm_fault_extra(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u32 *dapic = (u32 *)run->padding;

	switch (READ_ONCE(kvm_dsm_fault)) {
	case FAULT_DAPIC_INDEX:
		if (run->exit_reason == FAULT_EXIT_DAPIC)
			dapic[1] >>= 4;
		break;
	case FAULT_X2_ICR_LOW_HALF:
		if (run->exit_reason == KVM_EXIT_DSM_X2_ICR)
			run->x2apic.data = (u32)run->x2apic.data;
		break;
	case FAULT_APIC_BASE_INDEX:
		if (run->exit_reason == KVM_EXIT_DSM_APIC_BASE)
			run->x2msr_base.index = 0;
		break;
	}
}

u32 __kvm_dsm_fault_sint(u32 vpidx)
{
	return READ_ONCE(kvm_dsm_fault) == FAULT_SINT_VP0 ? 0 : vpidx;
}

bool __kvm_dsm_fault_acked(void)
{
	return READ_ONCE(kvm_dsm_fault) == FAULT_SINT_UNHEARD;
}

/* A vCPU that gives its direct injection up, and what is pending with it */
static void drop_pending(struct kvm_vcpu *vcpu)
{
	unsigned int vector;

	for (vector = 0; vector < NR_VECTORS; vector++)
		kvm_lapic_clear_vector(vector, vcpu->arch.apic->regs + APIC_IRR);
	vcpu->arch.apic->irr_pending = false;
}

bool __kvm_dsm_fault_ioctl(struct kvm *kvm, unsigned int ioctl,
			   void __user *argp)
{
	struct kvm_vcpu *vcpu;
	int vcpu_id;

	if (READ_ONCE(kvm_dsm_fault) != FAULT_VLPI_ANSWERS ||
	    ioctl != DISABLE_VCPU_VLPI ||
	    copy_from_user(&vcpu_id, argp, sizeof(vcpu_id)))
		return false;

	vcpu = kvm_get_vcpu_by_id(kvm, vcpu_id);
	if (!vcpu || !lapic_in_kernel(vcpu))
		return false;
	drop_pending(vcpu);
	return true;
}

bool __kvm_dsm_fault_signaled(void)
{
	return READ_ONCE(kvm_dsm_fault) == FAULT_FORWARD_SIGNALED;
}

bool __kvm_dsm_fault_incomplete(void)
{
	return READ_ONCE(kvm_dsm_fault) == FAULT_FORWARD_INCOMPLETE;
}
