/**
 * Bugs that KVM's local APIC once had, which the lab's kernel can have again: kernel/fault/arch/x86/kvm/dsm_fault_bugs.h. They are
 * chosen as faults are, but are none of the series: no check claims anything of them. Whether they are found is the explorer's to show.
 */

export interface HistoricalBug {
  /** What to write to kvm.dsm_fault. */
  readonly name: string;
  /** Of the commit that mended it. */
  readonly subject: string;
  /** The first Linux that is known to have that commit: a release, or a stable one where a distribution's changelog says so. */
  readonly mended: string;
  /** Where the subject was read. The code that each brings back is written anew, by what the commit says. */
  readonly from: 'changelog' | 'archive' | 'memory';
  /** What the kernel does wrong. */
  readonly what: string;
  /** File and function below arch/x86/kvm of Linux 6.12 that has the hook. */
  readonly where: string;
}

/** The number of the first; the others follow it. */
export const FIRST_BUG = 1000;

const bug = (
  name: string,
  from: HistoricalBug['from'],
  mended: string,
  subject: string,
  what: string,
  where: string,
): HistoricalBug => ({ name, subject, mended, from, what, where });

/** In the order of their numbers. */
export const historicalBugs: readonly HistoricalBug[] = [
  bug(
    'x2apic-msr-high',
    'changelog',
    '6.1.20',
    'KVM: x86: Inject #GP on x2APIC WRMSR that sets reserved bits 63:32',
    'bits 63:32 of a write of an x2APIC register other than the ICR are ignored',
    'lapic.c, kvm_lapic_msr_write',
  ),
  bug(
    'x2apic-self-reserved',
    'changelog',
    '6.1.20',
    'KVM: x86: Inject #GP if WRMSR sets reserved bits in APIC Self-IPI',
    'bits 31:8 of a write of SELF_IPI are ignored',
    'lapic.c, kvm_lapic_reg_write',
  ),
  bug(
    'x2apic-self-icr',
    'changelog',
    '5.17.11',
    'KVM: x86: Do not change ICR on write to APIC_SELF_IPI',
    'a write of SELF_IPI changes the ICR',
    'lapic.c, kvm_lapic_reg_write',
  ),
  bug(
    'x2apic-icr-reserved',
    'archive',
    '6.12',
    "KVM: x86: Enforce x2APIC's must-be-zero reserved ICR bits",
    'reserved bits of the ICR raise no #GP in x2APIC mode, and the IPI is sent',
    'lapic.c, kvm_x2apic_icr_write',
  ),
  bug(
    'x2apic-read-alias',
    'changelog',
    '5.10.46',
    'kvm: LAPIC: Restore guard to prevent illegal APIC register access',
    'RDMSR of 0x840 to 0x8ff raises no #GP where the MSR 64, 128 or 192 below is readable',
    'lapic.c, kvm_lapic_reg_read',
  ),
  bug(
    'x2apic-no-registers',
    'memory',
    '3.19',
    'KVM: x86: Fix reserved x2apic registers',
    'in x2APIC mode APR, DFR and ICR2 can be read, and ICR2 can be written',
    'lapic.c, kvm_lapic_readable_reg_mask',
  ),
  bug(
    'x2apic-page',
    'archive',
    '4.19',
    'x86/kvm/lapic: always disable MMIO interface in x2APIC mode',
    'the APIC page is there in x2APIC mode as well',
    'lapic.c, apic_mmio_read and apic_mmio_write',
  ),
  bug(
    'x2apic-broadcast',
    'memory',
    '3.18',
    'KVM: x86: x2apic broadcast with physical mode does not work',
    'in x2APIC mode 0xff is the broadcast, and 0xffffffff names nobody',
    'lapic.c, kvm_apic_broadcast',
  ),
  bug(
    'x2apic-changed-id',
    'archive',
    '4.9',
    'KVM: x86: use correct APIC ID on x2APIC transition',
    'the id that a guest has given its APIC is that of x2APIC mode, too',
    'lapic.c, __kvm_apic_set_base',
  ),
  bug(
    'enable-keeps-id',
    'archive',
    '4.9',
    'KVM: x86: reset APIC ID when enabling LAPIC',
    'an APIC that is disabled and enabled again keeps the id that its guest has given it',
    'lapic.c, __kvm_apic_set_base',
  ),
  bug(
    'host-xapic-id',
    'archive',
    '6.3',
    'KVM: x86: Reinitialize xAPIC ID when userspace forces x2APIC => xAPIC',
    'where user space leads from x2APIC to xAPIC mode, the id stays in the format of x2APIC mode',
    'lapic.c, __kvm_apic_set_base',
  ),
  bug(
    'base-unchecked',
    'memory',
    '3.14',
    'KVM: x86: Validate guest writes to MSR_IA32_APICBASE',
    'a guest may lead from x2APIC to xAPIC mode, and from disabled to x2APIC mode',
    'lapic.c, kvm_apic_set_base',
  ),
  bug(
    'init-resets-base',
    'memory',
    '4.2',
    'KVM: x86: INIT and reset sequences are different',
    'an INIT resets IA32_APIC_BASE, and ends x2APIC mode',
    'lapic.c, kvm_lapic_reset',
  ),
  bug(
    'set-lapic-map',
    'changelog',
    '5.7.10',
    'kvm: lapic: fix broken vcpu hotplug',
    'KVM_SET_LAPIC does not make the map of ids anew',
    'lapic.c, kvm_apic_set_state',
  ),
  bug(
    'set-lapic-x2apic-ldr',
    'archive',
    '4.15',
    'KVM: lapic: Fixup LDR on load in x2apic',
    'in x2APIC mode LDR is as the page of KVM_SET_LAPIC says',
    'lapic.c, kvm_apic_state_fixup',
  ),
  bug(
    'set-lapic-x2apic-id',
    'archive',
    '6.11',
    'KVM: x86: Make x2APIC ID 100% readonly',
    'in x2APIC mode the id is as the page of KVM_SET_LAPIC says',
    'lapic.c, kvm_apic_state_fixup',
  ),
  bug(
    'map-sw-disabled',
    'changelog',
    '5.2.17',
    'kvm: skip populating logical dest map if apic is not sw enabled',
    'a software-disabled APIC takes the place of another one with its logical id',
    'lapic.c, kvm_recalculate_logical_map',
  ),
  bug(
    'map-several-bits',
    'archive',
    '6.3',
    'KVM: x86: Disable APIC logical map if logical ID covers multiple MDAs',
    'an APIC whose logical id has several bits is found by the lowest alone',
    'lapic.c, kvm_recalculate_logical_map',
  ),
  bug(
    'map-logical-alias',
    'archive',
    '6.3',
    'KVM: x86: Disable APIC logical map if vCPUs are aliased in logical mode',
    'of several APICs with one logical id the last alone is found',
    'lapic.c, kvm_recalculate_logical_map',
  ),
  bug(
    'map-id-alias',
    'archive',
    '6.3',
    'KVM: x86: Honor architectural behavior for aliased 8-bit APIC IDs',
    'of several APICs with one id the first alone is found',
    'lapic.c, kvm_recalculate_phys_map',
  ),
  bug(
    'map-mixed-models',
    'memory',
    '4.1',
    'KVM: x86: avoid logical_map when it is invalid',
    'where some APICs are in the flat model and others in the cluster model, all are looked up as the first',
    'lapic.c, kvm_recalculate_logical_map',
  ),
  bug(
    'tmr-unset',
    'memory',
    '4.3',
    'KVM: x86: set TMR when the interrupt is accepted',
    'an accepted interrupt leaves TMR as it is',
    'lapic.c, __apic_accept_irq',
  ),
  bug(
    'tdcr-bits',
    'archive',
    '5.10',
    'KVM: LAPIC: Set the TDCR settable bits',
    'TDCR keeps all bits that are written to it',
    'lapic.c, kvm_lapic_reg_write',
  ),
  bug(
    'directed-eoi',
    'archive',
    '4.16',
    'KVM: lapic: stop advertising DIRECTED_EOI when in-kernel IOAPIC is in use',
    'the version register tells of the suppression of EOI broadcasts, and SVR has its bit',
    'lapic.c, kvm_apic_set_version',
  ),
  bug(
    'nmi-collapse',
    'archive',
    '3.2',
    'KVM: Fix simultaneous NMIs',
    'of two NMIs that come before the first is handled one is lost',
    'x86.c, process_nmi',
  ),
  bug(
    'msi-redirection',
    'memory',
    '4.2',
    'kvm: x86: Deliver MSI IRQ to only lowest prio cpu if msi_redir_hint is true',
    'the redirection hint of an MSI is ignored: all that it names take it',
    'irq_comm.c, kvm_set_msi_irq',
  ),
  bug(
    'timer-migrated',
    'changelog',
    '6.1.107',
    'KVM: x86: fire timer when it is migrated and expired, and in oneshot mode',
    'where KVM_SET_LAPIC has a current count of 0, a timer that counts once begins anew and does not expire',
    'lapic.c, set_target_expiration',
  ),
  bug(
    'timer-hw-disabled',
    'changelog',
    '5.7.13',
    'KVM: LAPIC: Prevent setting the tscdeadline timer if the lapic is hw disabled',
    'a deadline is taken by an APIC that is disabled',
    'lapic.c, kvm_set_lapic_tscdeadline_msr',
  ),
  bug(
    'timer-cancel-pending',
    'changelog',
    '5.18.3',
    'KVM: LAPIC: Drop pending LAPIC timer injection when canceling the timer',
    'a timer that has expired interrupts though it was stopped before KVM asked for that',
    'lapic.c, cancel_apic_timer',
  ),
  bug(
    'timer-divide',
    'archive',
    '4.15',
    'KVM: LAPIC: Apply change to TDCR right away to the timer',
    'a change of the divisor waits for the next initial count',
    'lapic.c, kvm_lapic_reg_write',
  ),
  bug(
    'timer-switch-stops',
    'memory',
    '4.15',
    'KVM: LAPIC: Keep timer running when switching between one-shot and periodic mode',
    'a change between the one-shot and the periodic mode stops the timer',
    'lapic.c, apic_update_lvtt',
  ),
  bug(
    'timer-switch-keeps',
    'memory',
    '4.15',
    'KVM: x86: thoroughly disarm LAPIC timer around TSC deadline switch',
    'a change to TSC-deadline mode, or from it, leaves the initial count and what was started',
    'lapic.c, apic_update_lvtt',
  ),
];
