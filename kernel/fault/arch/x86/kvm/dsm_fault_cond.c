// SPDX-License-Identifier: GPL-2.0
/*
 * The conditions of drawn faults: state that a kernel could look at when a guest
 * writes ICR or ICR2, or when such a write is replayed. The same table, in words,
 * is in lib/suite/faults/drawn/fields.ts.
 */
#include <linux/kvm_host.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#include "cpuid.h"
#include "dsm_fault_drawn.h"
#include "irq.h"
#include "kvm_cache_regs.h"
#include "kvm_emulate.h"
#include "lapic.h"
#include "smm.h"
#include "x86.h"

/*
 * Those of the first list need the vCPU loaded, or say something of a guest's
 * write alone.
 */
#define WRITE_FIELDS(X)				\
	X(MODE, "mode")				\
	X(CPL, "cpl")				\
	X(RFLAGS, "rflags")			\
	X(SHADOW, "shadow")			\
	X(NMI_MASKED, "nmi-masked")		\
	X(NMI_PENDING, "nmi-pending")		\
	X(DEBUG, "debug")			\
	X(CR0, "cr0")				\
	X(CR2, "cr2")				\
	X(CR3, "cr3")				\
	X(CR4, "cr4")				\
	X(EFER, "efer")				\
	X(CS, "cs")				\
	X(CS_BASE, "cs-base")			\
	X(DS_BASE, "ds-base")			\
	X(ES_BASE, "es-base")			\
	X(SS_BASE, "ss-base")			\
	X(FS_BASE, "fs-base")			\
	X(GS_BASE, "gs-base")			\
	X(RIP, "rip")				\
	X(DR7, "dr7")				\
	X(XCR0, "xcr0")				\
	X(SMM, "smm")				\
	X(L2, "l2")				\
	X(OPCODE, "opcode")			\
	X(OPCODE_LEN, "opcode-len")		\
	X(REP, "rep")				\
	X(LOCK, "lock")				\
	X(OP_BYTES, "op-bytes")			\
	X(AD_BYTES, "ad-bytes")			\
	X(SEG, "seg")				\
	X(EA_MOVED, "ea-moved")			\
	X(MODRM_MOD, "modrm-mod")		\
	X(IMMEDIATE_EXIT, "immediate-exit")	\
	X(SIGNAL, "signal")			\
	X(VALID_REGS, "valid-regs")		\
	X(IRQ_WINDOW, "irq-window")		\
	X(EVENT_REQUEST, "event-request")	\
	X(RUNS, "runs")				\
	X(LAST_EXIT, "last-exit")		\
	X(HALTS, "halts")			\
	X(IRQS, "irqs")				\
	X(NMIS, "nmis")				\
	X(SIGNALS, "signals")			\
	X(CPU_MOVED, "cpu-moved")		\
	X(WRITES, "writes")			\
	X(REG_WRITES, "reg-writes")		\
	X(VM_WRITES, "vm-writes")		\
	X(RUN_WRITES, "run-writes")		\
	X(SAME_REG, "same-reg")			\
	X(SAME_VALUE, "same-value")		\
	X(OTHER_WROTE, "other-wrote")		\
	X(US_IN_RUN, "us-in-run")		\
	X(US_SINCE_WRITE, "us-since-write")

#define ANY_FIELDS(X)				\
	X(ALWAYS, "always")			\
	X(VCPU_ID, "vcpu-id")			\
	X(VCPU_IDX, "vcpu-idx")			\
	X(ID_NOT_IDX, "id-not-idx")		\
	X(CPUID, "cpuid")			\
	X(KVM_CPUID, "kvm-cpuid")		\
	X(HYPERV, "hyperv")			\
	X(X2APIC_CPUID, "x2apic-cpuid")		\
	X(PV_EOI, "pv-eoi")			\
	X(ASYNC_PF, "async-pf")			\
	X(STEAL_TIME, "steal-time")		\
	X(KVMCLOCK, "kvmclock")			\
	X(TSC_ADJUST, "tsc-adjust")		\
	X(HV_OS_ID, "hv-os-id")			\
	X(HV_HYPERCALL, "hv-hypercall")		\
	X(HV_TSC, "hv-tsc")			\
	X(HV_ASSIST, "hv-assist")		\
	X(HV_SYNIC, "hv-synic")			\
	X(MP_STATE, "mp-state")			\
	X(IN_GUEST, "in-guest")			\
	X(SW_ENABLED, "sw-enabled")		\
	X(SPURIOUS, "spurious")			\
	X(SVR, "svr")				\
	X(TPR, "tpr")				\
	X(PPR, "ppr")				\
	X(ISR, "isr")				\
	X(ISR_COUNT, "isr-count")		\
	X(IRR, "irr")				\
	X(APIC_ID, "apic-id")			\
	X(APIC_ID_MOVED, "apic-id-moved")	\
	X(LDR, "ldr")				\
	X(DFR, "dfr")				\
	X(LVTT, "lvtt")				\
	X(LVT0, "lvt0")				\
	X(LVT1, "lvt1")				\
	X(LVTERR, "lvterr")			\
	X(LVTPC, "lvtpc")			\
	X(LVTTHMR, "lvtthmr")			\
	X(TIMER_MODE, "timer-mode")		\
	X(TIMER_ARMED, "timer-armed")		\
	X(TDCR, "tdcr")				\
	X(ESR, "esr")				\
	X(OLD_ICR, "old-icr")			\
	X(OLD_ICR2, "old-icr2")			\
	X(BASE_MOVED, "base-moved")		\
	X(BSP, "bsp")				\
	X(EVENTS, "events")			\
	X(VAPIC, "vapic")			\
	X(VCPUS, "vcpus")			\
	X(FULL_IRQCHIP, "full-irqchip")		\
	X(PIT, "pit")				\
	X(SLOTS, "slots")			\
	X(DIRTY_LOG, "dirty-log")		\
	X(READONLY, "readonly")			\
	X(PAGES, "pages")			\
	X(IOEVENTFDS, "ioeventfds")		\
	X(IRQFDS, "irqfds")			\
	X(COALESCED, "coalesced")		\
	X(ROUTES, "routes")			\
	X(MAP_MODE, "map-mode")			\
	X(MAP_MAX, "map-max")			\
	X(X2APIC_FORMAT, "x2apic-format")	\
	X(NO_BROADCAST_QUIRK, "no-broadcast-quirk") \
	X(QUIRKS, "quirks")			\
	X(MSR_FILTER, "msr-filter")		\
	X(MSR_EXITS, "msr-exits")		\
	X(EXITS_DISABLED, "exits-disabled")	\
	X(BSP_ID, "bsp-id")			\
	X(VECTOR, "vector")			\
	X(DELIVERY_MODE, "delivery-mode")	\
	X(DEST_MODE, "dest-mode")		\
	X(DELIVERY_STATUS, "delivery-status")	\
	X(LEVEL, "level")			\
	X(TRIGGER, "trigger")			\
	X(SHORTHAND, "shorthand")		\
	X(RESERVED, "reserved")			\
	X(DEST, "dest")				\
	X(DEST_SELF, "dest-self")		\
	X(DEST_COUNT, "dest-count")		\
	X(VALUE, "value")			\
	X(TO_MP_STATE, "to-mp-state")		\
	X(TO_SW_ENABLED, "to-sw-enabled")	\
	X(TO_TPR, "to-tpr")			\
	X(TO_IRR, "to-irr")			\
	X(TO_ISR, "to-isr")			\
	X(TO_TIMER_MODE, "to-timer-mode")	\
	X(TO_NMI_PENDING, "to-nmi-pending")	\
	X(UNCHANGED, "unchanged")		\
	X(ARG_DEST, "arg-dest")			\
	X(HOST, "host")				\
	X(BASE_VALUE, "base-value")		\
	X(REGISTER, "register")

#define AS_ENUM(id, name)	FIELD_##id,
#define AS_NAME(id, name)	[FIELD_##id] = name,

enum dsm_fault_field {
	WRITE_FIELDS(AS_ENUM)
	FIRST_ANY_FIELD,
	LAST_WRITE_FIELD = FIRST_ANY_FIELD - 1,
	ANY_FIELDS(AS_ENUM)
};

static const char * const field_names[] = {
	WRITE_FIELDS(AS_NAME)
	ANY_FIELDS(AS_NAME)
};

enum { OP_EQ, OP_NE, OP_GE, OP_LT, OP_HAS, OP_LACKS, OP_MOD };

static const char * const op_names[] = {
	"eq", "ne", "ge", "lt", "has", "lacks", "mod",
};

static const char * const site_names[] = {
	[SITE_ICR]	= "icr",
	[SITE_ICR2]	= "icr2",
	[SITE_OTHER]	= "other",
	[SITE_IPI_ICR]	= "ipi-icr",
	[SITE_IPI_ICR2]	= "ipi-icr2",
	[SITE_X2APIC]	= "x2apic",
	[SITE_BASE]	= "base",
};

/* Takes one word, up to one of @ends, off *@spec. */
static size_t word(const char **spec, const char *ends, const char **start)
{
	size_t len = strcspn(*spec, ends);

	*start = *spec;
	*spec += len;
	return len;
}

static int lookup(const char * const *names, int count, const char *start,
		  size_t len)
{
	int i;

	for (i = 0; i < count; i++) {
		if (names[i] && strlen(names[i]) == len &&
		    !strncmp(names[i], start, len))
			return i;
	}
	return -EINVAL;
}

static int number(const char *start, size_t len, u32 *value)
{
	char buf[16];

	if (len == 0 || len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, start, len);
	buf[len] = '\0';
	return kstrtou32(buf, 0, value);
}

/* One condition, up to the "&" or ":" behind it; *@spec is there then. */
static int parse_condition(const char **spec, bool guest,
			   struct dsm_fault_condition *condition)
{
	int field, op = OP_EQ;
	const char *start;
	size_t len;

	len = word(spec, ".&:", &start);
	field = lookup(field_names, ARRAY_SIZE(field_names), start, len);
	if (field < 0 || (field <= LAST_WRITE_FIELD && !guest))
		return -EINVAL;

	condition->value = 1;
	if (**spec == '.') {
		(*spec)++;
		len = word(spec, ".", &start);
		op = lookup(op_names, ARRAY_SIZE(op_names), start, len);
		if (op < 0 || *(*spec)++ != '.')
			return -EINVAL;
		len = word(spec, "&:", &start);
		if (number(start, len, &condition->value) ||
		    (op == OP_MOD && !condition->value))
			return -EINVAL;
	}
	condition->field = field;
	condition->op = op;
	return 0;
}

int kvm_dsm_drawn_parse(const char *spec, struct dsm_fault_drawn *fault)
{
	const char *start;
	int site, action;
	size_t len;

	memset(fault, 0, sizeof(*fault));

	len = word(&spec, ":", &start);
	site = lookup(site_names, ARRAY_SIZE(site_names), start, len);
	if (site < 0 || !*spec)
		return -EINVAL;

	/* *spec is the ":" or the "&" before a condition. */
	do {
		spec++;
		if (fault->count == DSM_FAULT_CONDITIONS ||
		    parse_condition(&spec, site == SITE_ICR || site == SITE_ICR2,
				    &fault->conditions[fault->count++]))
			return -EINVAL;
	} while (*spec == '&');
	if (*spec++ != ':')
		return -EINVAL;

	len = word(&spec, "=\n", &start);
	action = kvm_dsm_action_by_name(start, len);
	if (action < 0)
		return action;
	if (*spec == '=') {
		spec++;
		len = word(&spec, "\n", &start);
		if (number(start, len, &fault->param))
			return -EINVAL;
	}

	fault->site = site;
	fault->action = action;
	return 0;
}

static u64 mode_of(struct kvm_vcpu *vcpu)
{
	int db, l;

	if (!kvm_is_cr0_bit_set(vcpu, X86_CR0_PE))
		return 0;
	if (kvm_get_rflags(vcpu) & X86_EFLAGS_VM)
		return 1;
	kvm_x86_call(get_cs_db_l_bits)(vcpu, &db, &l);
	if (is_long_mode(vcpu))
		return l ? 5 : 4;
	return db ? 3 : 2;
}

static u64 selector_of(struct kvm_vcpu *vcpu, int seg)
{
	struct kvm_segment var;

	kvm_get_segment(vcpu, &var, seg);
	return var.selector;
}

/* Where the instruction writes */
static struct segmented_address address_of(struct x86_emulate_ctxt *ctxt)
{
	if (ctxt->dst.type == OP_MEM || ctxt->dst.type == OP_MEM_STR)
		return ctxt->dst.addr.mem;
	return ctxt->memop.addr.mem;
}

static u64 count_slots(struct kvm *kvm, bool readonly)
{
	struct kvm_memory_slot *slot;
	u64 count = 0;
	int bkt;

	kvm_for_each_memslot(slot, bkt, kvm_memslots(kvm))
		count += !readonly || (slot->flags & KVM_MEM_READONLY);
	return count;
}

static u64 count_routes(struct kvm *kvm)
{
	struct kvm_irq_routing_table *table;
	u64 count = 0;
	int idx, i;

	idx = srcu_read_lock(&kvm->irq_srcu);
	table = srcu_dereference(kvm->irq_routing, &kvm->irq_srcu);
	for (i = 0; table && i < table->nr_rt_entries; i++)
		count += !hlist_empty(&table->map[i]);
	srcu_read_unlock(&kvm->irq_srcu, idx);
	return count;
}

static u64 map_of(struct kvm *kvm, bool max)
{
	struct kvm_apic_map *map;
	u64 value = 0;

	rcu_read_lock();
	map = rcu_dereference(kvm->arch.apic_map);
	if (map)
		value = max ? map->max_apic_id : map->logical_mode;
	rcu_read_unlock();
	return value;
}

static u64 highest(struct kvm_lapic *apic, u32 reg)
{
	int vector;

	for (vector = 255; vector >= 0; vector--) {
		if (kvm_lapic_get_reg(apic, reg + (vector / 32) * 0x10) &
		    BIT(vector % 32))
			return vector;
	}
	return 0;
}

static u64 count_dests(const struct dsm_fault_event *event, bool self)
{
	struct kvm_lapic *apic = event->vcpu->arch.apic;
	struct kvm_vcpu *vcpu;
	unsigned long i;
	u64 count = 0;

	kvm_for_each_vcpu(i, vcpu, event->vcpu->kvm) {
		if ((!self || vcpu == event->vcpu) && lapic_in_kernel(vcpu))
			count += kvm_apic_match_dest(vcpu, apic,
						     event->val & APIC_SHORT_MASK,
						     event->dest,
						     event->val & APIC_DEST_MASK);
	}
	return count;
}

/* Of the first other vCPU that the IPI names; U32_MAX if there is none. */
static u64 target_field(const struct dsm_fault_event *event,
			enum dsm_fault_field field)
{
	struct kvm_lapic *source = event->vcpu->arch.apic;
	struct kvm_vcpu *vcpu;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, event->vcpu->kvm) {
		if (vcpu == event->vcpu || !lapic_in_kernel(vcpu) ||
		    !kvm_apic_match_dest(vcpu, source,
					 event->val & APIC_SHORT_MASK,
					 event->dest, event->val & APIC_DEST_MASK))
			continue;

		switch (field) {
		case FIELD_TO_MP_STATE:
			return vcpu->arch.mp_state;
		case FIELD_TO_SW_ENABLED:
			return vcpu->arch.apic->sw_enabled;
		case FIELD_TO_TPR:
			return kvm_lapic_get_reg(vcpu->arch.apic, APIC_TASKPRI);
		case FIELD_TO_IRR:
			return highest(vcpu->arch.apic, APIC_IRR);
		case FIELD_TO_ISR:
			return highest(vcpu->arch.apic, APIC_ISR);
		case FIELD_TO_TIMER_MODE:
			return vcpu->arch.apic->lapic_timer.timer_mode >> 17;
		default:
			return vcpu->arch.nmi_pending +
			       atomic_read(&vcpu->arch.nmi_queued);
		}
	}
	return U32_MAX;
}

static u64 hyperv_field(struct kvm_vcpu *vcpu, enum dsm_fault_field field)
{
#ifdef CONFIG_KVM_HYPERV
	struct kvm_hv *hv = &vcpu->kvm->arch.hyperv;
	struct kvm_vcpu_hv *hv_vcpu = vcpu->arch.hyperv;

	switch (field) {
	case FIELD_HV_OS_ID:
		return !!hv->hv_guest_os_id;
	case FIELD_HV_HYPERCALL:
		return hv->hv_hypercall & HV_X64_MSR_HYPERCALL_ENABLE;
	case FIELD_HV_TSC:
		return hv->hv_tsc_page & HV_X64_MSR_TSC_REFERENCE_ENABLE;
	case FIELD_HV_ASSIST:
		return hv_vcpu ? hv_vcpu->hv_vapic & HV_X64_MSR_VP_ASSIST_PAGE_ENABLE : 0;
	default:
		return hv_vcpu ? hv_vcpu->synic.active : 0;
	}
#else
	return 0;
#endif
}

static u64 us_since(u64 ns)
{
	return ns ? (ktime_get_ns() - ns) / NSEC_PER_USEC : U32_MAX;
}

static u64 write_field(const struct dsm_fault_event *event,
		       enum dsm_fault_field field)
{
	struct kvm_vcpu *vcpu = event->vcpu;
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	struct kvm_dsm_fault_state *state = kvm_dsm_fault_state_of(vcpu);
	struct kvm_dsm_fault_history *history = &state->history;
	struct kvm_dsm_fault_vm *vm = kvm_dsm_fault_vm_of(vcpu->kvm);
	int which = event->reg == APIC_ICR2;

	switch (field) {
	case FIELD_MODE:
		return mode_of(vcpu);
	case FIELD_CPL:
		return kvm_x86_call(get_cpl)(vcpu);
	case FIELD_RFLAGS:
		return kvm_get_rflags(vcpu);
	case FIELD_SHADOW:
		return kvm_x86_call(get_interrupt_shadow)(vcpu);
	case FIELD_NMI_MASKED:
		return kvm_x86_call(get_nmi_mask)(vcpu);
	case FIELD_NMI_PENDING:
		return vcpu->arch.nmi_pending + atomic_read(&vcpu->arch.nmi_queued);
	case FIELD_DEBUG:
		return vcpu->guest_debug;
	case FIELD_CR0:
		return kvm_read_cr0(vcpu);
	case FIELD_CR2:
		return vcpu->arch.cr2;
	case FIELD_CR3:
		return kvm_read_cr3(vcpu);
	case FIELD_CR4:
		return kvm_read_cr4(vcpu);
	case FIELD_EFER:
		return vcpu->arch.efer;
	case FIELD_CS:
		return selector_of(vcpu, VCPU_SREG_CS);
	case FIELD_CS_BASE:
		return kvm_x86_call(get_segment_base)(vcpu, VCPU_SREG_CS);
	case FIELD_DS_BASE:
		return kvm_x86_call(get_segment_base)(vcpu, VCPU_SREG_DS);
	case FIELD_ES_BASE:
		return kvm_x86_call(get_segment_base)(vcpu, VCPU_SREG_ES);
	case FIELD_SS_BASE:
		return kvm_x86_call(get_segment_base)(vcpu, VCPU_SREG_SS);
	case FIELD_FS_BASE:
		return kvm_x86_call(get_segment_base)(vcpu, VCPU_SREG_FS);
	case FIELD_GS_BASE:
		return kvm_x86_call(get_segment_base)(vcpu, VCPU_SREG_GS);
	case FIELD_RIP:
		return kvm_rip_read(vcpu);
	case FIELD_DR7:
		return vcpu->arch.dr7;
	case FIELD_XCR0:
		return vcpu->arch.xcr0;
	case FIELD_SMM:
		return is_smm(vcpu);
	case FIELD_L2:
		return is_guest_mode(vcpu);
	case FIELD_OPCODE:
		return ctxt->b;
	case FIELD_OPCODE_LEN:
		return ctxt->opcode_len;
	case FIELD_REP:
		return ctxt->rep_prefix;
	case FIELD_LOCK:
		return !!ctxt->lock_prefix;
	case FIELD_OP_BYTES:
		return ctxt->op_bytes;
	case FIELD_AD_BYTES:
		return ctxt->ad_bytes;
	case FIELD_SEG:
		return address_of(ctxt).seg;
	case FIELD_EA_MOVED:
		return address_of(ctxt).ea !=
		       vcpu->arch.apic->base_address + event->reg;
	case FIELD_MODRM_MOD:
		return ctxt->modrm_mod;
	case FIELD_IMMEDIATE_EXIT:
		return vcpu->run->immediate_exit__unsafe;
	case FIELD_SIGNAL:
		return signal_pending(current);
	case FIELD_VALID_REGS:
		return vcpu->run->kvm_valid_regs;
	case FIELD_IRQ_WINDOW:
		return vcpu->run->request_interrupt_window;
	case FIELD_EVENT_REQUEST:
		return kvm_test_request(KVM_REQ_EVENT, vcpu);
	case FIELD_RUNS:
		return history->runs;
	case FIELD_LAST_EXIT:
		return history->last_exit;
	case FIELD_HALTS:
		return vcpu->stat.halt_exits;
	case FIELD_IRQS:
		return vcpu->stat.irq_injections;
	case FIELD_NMIS:
		return vcpu->stat.nmi_injections;
	case FIELD_SIGNALS:
		return vcpu->stat.signal_exits;
	case FIELD_CPU_MOVED:
		return history->writes > 1 && vcpu->cpu != history->last_cpu;
	case FIELD_WRITES:
		return history->writes;
	case FIELD_REG_WRITES:
		return history->reg_writes[which];
	case FIELD_VM_WRITES:
		return atomic_read(&vm->writes);
	case FIELD_RUN_WRITES:
		return history->run_writes;
	case FIELD_SAME_REG:
		return history->writes > 1 && history->last_reg == event->reg;
	case FIELD_SAME_VALUE:
		return history->reg_writes[which] > 1 &&
		       history->last_val[which] == event->val;
	case FIELD_OTHER_WROTE:
		return vm->last_writer && vm->last_writer != vcpu;
	case FIELD_US_IN_RUN:
		return us_since(history->run_began);
	case FIELD_US_SINCE_WRITE:
		return us_since(history->last_write);
	default:
		return 0;
	}
}

static u64 lapic_field(const struct dsm_fault_event *event,
		       enum dsm_fault_field field)
{
	struct kvm_vcpu *vcpu = event->vcpu;
	struct kvm_lapic *apic = vcpu->arch.apic;

	switch (field) {
	case FIELD_SW_ENABLED:
		return apic->sw_enabled;
	case FIELD_SPURIOUS:
		return kvm_lapic_get_reg(apic, APIC_SPIV) & APIC_VECTOR_MASK;
	case FIELD_SVR:
		return kvm_lapic_get_reg(apic, APIC_SPIV);
	case FIELD_TPR:
		return kvm_lapic_get_reg(apic, APIC_TASKPRI);
	case FIELD_PPR:
		return kvm_lapic_get_reg(apic, APIC_PROCPRI);
	case FIELD_ISR:
		return highest(apic, APIC_ISR);
	case FIELD_ISR_COUNT:
		return apic->isr_count;
	case FIELD_IRR:
		return highest(apic, APIC_IRR);
	case FIELD_APIC_ID:
		return kvm_xapic_id(apic);
	case FIELD_APIC_ID_MOVED:
		return kvm_xapic_id(apic) != (vcpu->vcpu_id & 0xff);
	case FIELD_LDR:
		return GET_APIC_LOGICAL_ID(kvm_lapic_get_reg(apic, APIC_LDR));
	case FIELD_DFR:
		return kvm_lapic_get_reg(apic, APIC_DFR) >> 28;
	case FIELD_LVTT:
		return kvm_lapic_get_reg(apic, APIC_LVTT);
	case FIELD_LVT0:
		return kvm_lapic_get_reg(apic, APIC_LVT0);
	case FIELD_LVT1:
		return kvm_lapic_get_reg(apic, APIC_LVT1);
	case FIELD_LVTERR:
		return kvm_lapic_get_reg(apic, APIC_LVTERR);
	case FIELD_LVTPC:
		return kvm_lapic_get_reg(apic, APIC_LVTPC);
	case FIELD_LVTTHMR:
		return kvm_lapic_get_reg(apic, APIC_LVTTHMR);
	case FIELD_TIMER_MODE:
		return apic->lapic_timer.timer_mode >> 17;
	case FIELD_TIMER_ARMED:
		return kvm_lapic_get_reg(apic, APIC_TMICT) ||
		       apic->lapic_timer.tscdeadline;
	case FIELD_TDCR:
		return kvm_lapic_get_reg(apic, APIC_TDCR);
	case FIELD_ESR:
		return kvm_lapic_get_reg(apic, APIC_ESR);
	case FIELD_OLD_ICR:
		return kvm_lapic_get_reg(apic, APIC_ICR);
	case FIELD_OLD_ICR2:
		return GET_XAPIC_DEST_FIELD(kvm_lapic_get_reg(apic, APIC_ICR2));
	case FIELD_BASE_MOVED:
		return apic->base_address != APIC_DEFAULT_PHYS_BASE;
	case FIELD_BSP:
		return !!(vcpu->arch.apic_base & MSR_IA32_APICBASE_BSP);
	case FIELD_EVENTS:
		return apic->pending_events;
	case FIELD_VAPIC:
		return apic->vapic_addr;
	default:
		return 0;
	}
}

static u64 vm_field(struct kvm *kvm, enum dsm_fault_field field)
{
	switch (field) {
	case FIELD_VCPUS:
		return atomic_read(&kvm->online_vcpus);
	case FIELD_FULL_IRQCHIP:
		return irqchip_kernel(kvm);
	case FIELD_PIT:
		return !!kvm->arch.vpit;
	case FIELD_SLOTS:
		return count_slots(kvm, false);
	case FIELD_DIRTY_LOG:
		return atomic_read(&kvm->nr_memslots_dirty_logging);
	case FIELD_READONLY:
		return count_slots(kvm, true);
	case FIELD_PAGES:
		return kvm->nr_memslot_pages;
	case FIELD_IOEVENTFDS:
		return !list_empty(&kvm->ioeventfds);
	case FIELD_IRQFDS:
		return !list_empty(&kvm->irqfds.items);
	case FIELD_COALESCED:
		return !list_empty(&kvm->coalesced_zones);
	case FIELD_ROUTES:
		return count_routes(kvm);
	case FIELD_MAP_MODE:
		return map_of(kvm, false);
	case FIELD_MAP_MAX:
		return map_of(kvm, true);
	case FIELD_X2APIC_FORMAT:
		return kvm->arch.x2apic_format;
	case FIELD_NO_BROADCAST_QUIRK:
		return kvm->arch.x2apic_broadcast_quirk_disabled;
	case FIELD_QUIRKS:
		return kvm->arch.disabled_quirks;
	case FIELD_MSR_FILTER:
		return !!rcu_access_pointer(kvm->arch.msr_filter);
	case FIELD_MSR_EXITS:
		return kvm->arch.user_space_msr_mask;
	case FIELD_EXITS_DISABLED:
		return kvm->arch.mwait_in_guest || kvm->arch.hlt_in_guest ||
		       kvm->arch.pause_in_guest || kvm->arch.cstate_in_guest;
	case FIELD_BSP_ID:
		return kvm->arch.bsp_vcpu_id;
	default:
		return 0;
	}
}

static u64 any_field(const struct dsm_fault_event *event,
		     enum dsm_fault_field field)
{
	struct kvm_vcpu *vcpu = event->vcpu;
	u32 val = event->val;

	switch (field) {
	case FIELD_ALWAYS:
		return 1;
	case FIELD_VCPU_ID:
		return vcpu->vcpu_id;
	case FIELD_VCPU_IDX:
		return vcpu->vcpu_idx;
	case FIELD_ID_NOT_IDX:
		return vcpu->vcpu_id != vcpu->vcpu_idx;
	case FIELD_CPUID:
		return vcpu->arch.cpuid_nent;
	case FIELD_KVM_CPUID:
		return !!vcpu->arch.kvm_cpuid.base;
	case FIELD_HYPERV:
		return vcpu->arch.hyperv_enabled;
	case FIELD_X2APIC_CPUID:
		return guest_cpuid_has(vcpu, X86_FEATURE_X2APIC);
	case FIELD_PV_EOI:
		return vcpu->arch.pv_eoi.msr_val & 1;
	case FIELD_ASYNC_PF:
		return vcpu->arch.apf.msr_en_val & 1;
	case FIELD_STEAL_TIME:
		return vcpu->arch.st.msr_val & 1;
	case FIELD_KVMCLOCK:
		return vcpu->arch.time & 1;
	case FIELD_TSC_ADJUST:
		return vcpu->arch.ia32_tsc_adjust_msr;
	case FIELD_HV_OS_ID ... FIELD_HV_SYNIC:
		return hyperv_field(vcpu, field);
	case FIELD_TO_MP_STATE ... FIELD_TO_NMI_PENDING:
		return target_field(event, field);
	case FIELD_MP_STATE:
		return vcpu->arch.mp_state;
	case FIELD_IN_GUEST:
		return vcpu->mode != OUTSIDE_GUEST_MODE;
	case FIELD_VECTOR:
		return val & APIC_VECTOR_MASK;
	case FIELD_DELIVERY_MODE:
		return (val & APIC_MODE_MASK) >> 8;
	case FIELD_DEST_MODE:
		return !!(val & APIC_DEST_MASK);
	case FIELD_DELIVERY_STATUS:
		return !!(val & APIC_ICR_BUSY);
	case FIELD_LEVEL:
		return !!(val & APIC_INT_ASSERT);
	case FIELD_TRIGGER:
		return !!(val & APIC_INT_LEVELTRIG);
	case FIELD_SHORTHAND:
		return (val & APIC_SHORT_MASK) >> 18;
	case FIELD_RESERVED:
	case FIELD_VALUE:
	case FIELD_BASE_VALUE:
		return val;
	case FIELD_DEST:
		return event->dest;
	case FIELD_DEST_SELF:
		return count_dests(event, true);
	case FIELD_DEST_COUNT:
		return count_dests(event, false);
	case FIELD_UNCHANGED:
		return val == kvm_lapic_get_reg(vcpu->arch.apic, event->reg);
	case FIELD_ARG_DEST:
		return event->arg_dest;
	case FIELD_HOST:
		return event->host;
	case FIELD_REGISTER:
		return event->reg;
	default:
		if (field >= FIELD_SW_ENABLED && field <= FIELD_VAPIC)
			return lapic_field(event, field);
		return vm_field(vcpu->kvm, field);
	}
}

static bool condition_holds(const struct dsm_fault_condition *condition,
			    const struct dsm_fault_event *event)
{
	u64 value = condition->field <= LAST_WRITE_FIELD ?
		    write_field(event, condition->field) :
		    any_field(event, condition->field);

	switch (condition->op) {
	case OP_EQ:
		return value == condition->value;
	case OP_NE:
		return value != condition->value;
	case OP_GE:
		return value >= condition->value;
	case OP_LT:
		return value < condition->value;
	case OP_HAS:
		return value & condition->value;
	case OP_LACKS:
		return !(value & condition->value);
	case OP_MOD:
		return (u32)value % condition->value == 0;
	default:
		return false;
	}
}

bool kvm_dsm_drawn_holds(const struct dsm_fault_drawn *fault,
			 const struct dsm_fault_event *event)
{
	int i;

	if (fault->site != event->site)
		return false;

	for (i = 0; i < fault->count; i++) {
		if (!condition_holds(&fault->conditions[i], event))
			return false;
	}
	return true;
}
