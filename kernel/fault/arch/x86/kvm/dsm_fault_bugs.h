/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bugs that KVM's local APIC once had, made again: each does what the kernel did
 * before a commit that docs/historical-bugs.md names. They are chosen by
 * kvm.dsm_fault as faults are, by name or by number, and stand in hooks of their
 * own: hooks-bugs-6.12.patch.
 *
 * None of them reads or writes anything beyond the virtual machine's own state.
 */
#ifndef __KVM_X86_DSM_FAULT_BUGS_H
#define __KVM_X86_DSM_FAULT_BUGS_H

/* Far from the numbers of faults, which grow */
#define DSM_FIRST_BUG	1000

#define DSM_BUGS(bug)						\
	bug(X2APIC_MSR_HIGH, "x2apic-msr-high")			\
	bug(X2APIC_SELF_RESERVED, "x2apic-self-reserved")	\
	bug(X2APIC_SELF_ICR, "x2apic-self-icr")			\
	bug(X2APIC_ICR_RESERVED, "x2apic-icr-reserved")		\
	bug(X2APIC_READ_ALIAS, "x2apic-read-alias")		\
	bug(X2APIC_NO_REGISTERS, "x2apic-no-registers")		\
	bug(X2APIC_PAGE, "x2apic-page")				\
	bug(X2APIC_BROADCAST, "x2apic-broadcast")		\
	bug(X2APIC_CHANGED_ID, "x2apic-changed-id")		\
	bug(ENABLE_KEEPS_ID, "enable-keeps-id")			\
	bug(HOST_XAPIC_ID, "host-xapic-id")			\
	bug(BASE_UNCHECKED, "base-unchecked")			\
	bug(INIT_RESETS_BASE, "init-resets-base")		\
	bug(SET_LAPIC_MAP, "set-lapic-map")			\
	bug(SET_LAPIC_X2APIC_LDR, "set-lapic-x2apic-ldr")	\
	bug(SET_LAPIC_X2APIC_ID, "set-lapic-x2apic-id")		\
	bug(MAP_SW_DISABLED, "map-sw-disabled")			\
	bug(MAP_SEVERAL_BITS, "map-several-bits")		\
	bug(MAP_LOGICAL_ALIAS, "map-logical-alias")		\
	bug(MAP_ID_ALIAS, "map-id-alias")			\
	bug(MAP_MIXED_MODELS, "map-mixed-models")		\
	bug(TMR_UNSET, "tmr-unset")				\
	bug(TDCR_BITS, "tdcr-bits")				\
	bug(DIRECTED_EOI, "directed-eoi")			\
	bug(NMI_COLLAPSE, "nmi-collapse")			\
	bug(MSI_REDIRECTION, "msi-redirection")			\
	bug(TIMER_MIGRATED, "timer-migrated")			\
	bug(TIMER_HW_DISABLED, "timer-hw-disabled")		\
	bug(TIMER_CANCEL_PENDING, "timer-cancel-pending")	\
	bug(TIMER_DIVIDE, "timer-divide")			\
	bug(TIMER_SWITCH_STOPS, "timer-switch-stops")		\
	bug(TIMER_SWITCH_KEEPS, "timer-switch-keeps")

enum dsm_bug {
	DSM_BUG_BEFORE = DSM_FIRST_BUG - 1,
#define DSM_BUG_NUMBER(id, name) DSM_BUG_##id,
	DSM_BUGS(DSM_BUG_NUMBER)
#undef DSM_BUG_NUMBER
};

#ifdef CONFIG_KVM_DSM_FAULT

extern unsigned int kvm_dsm_fault;

/* True if the kernel is to do what it did before this one was mended. */
static inline bool kvm_dsm_bug(enum dsm_bug bug)
{
	return unlikely(READ_ONCE(kvm_dsm_fault) == bug);
}

#else

static inline bool kvm_dsm_bug(enum dsm_bug bug)
{
	return false;
}

#endif

#endif /* __KVM_X86_DSM_FAULT_BUGS_H */
