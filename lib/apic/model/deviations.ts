/** Where KVM does something else than the SDM says, and means to, or is known to: what the model does is what KVM does. */

export interface Deviation {
  readonly name: string;
  /** The section of the SDM, volume 3. */
  readonly section: string;
  readonly sdm: string;
  readonly kvm: string;
  /** File below arch/x86/kvm, and function, of Linux 6.12. */
  readonly where: string;
}

const deviation = (name: string, section: string, sdm: string, kvm: string, where: string): Deviation => ({
  name,
  section,
  sdm,
  kvm,
  where,
});

export const deviations: readonly Deviation[] = [
  deviation(
    'esr-never-set',
    'Error Handling',
    'errors are gathered and shown by the next write of ESR',
    'ESR is never set; in x2APIC mode a write of anything but 0 raises #GP',
    'lapic.c, kvm_lapic_reg_write',
  ),
  deviation(
    'arbpri-zero',
    'Lowest Priority Delivery Mode',
    'APR tells the arbitration priority',
    'APR reads as 0',
    'lapic.c, __apic_read',
  ),
  deviation(
    'lowest-priority-hash',
    'Lowest Priority Delivery Mode',
    'the one with the lowest priority takes it',
    'one of those named takes it: by its vector (kvm.vector_hashing), or else by turns, which is a set of allowed takers',
    'irq_comm.c, kvm_irq_delivery_to_apic',
  ),
  deviation(
    'lowest-priority-absent',
    'Lowest Priority Delivery Mode',
    'one of those that are there takes it',
    'it is dropped if the hash falls on a logical id that nobody has',
    'lapic.c, kvm_apic_map_get_dest_lapic',
  ),
  deviation(
    'lowest-priority-broadcast',
    'Lowest Priority Delivery Mode',
    'a physical broadcast with lowest priority must not be sent',
    'all take it, as a fixed one; so it is under a shorthand while ICR2 names 0xff',
    'irq_comm.c, kvm_irq_delivery_to_apic',
  ),
  deviation(
    'logical-to-disabled',
    'Local APIC State After It Has Been Software Disabled',
    'a software-disabled APIC takes INIT, NMI and SIPI that name it',
    'not those that name it by a logical id of the xAPIC, unless the map of logical ids is off; none if all are disabled',
    'lapic.c, kvm_recalculate_logical_map',
  ),
  deviation(
    'level-accepted',
    'Interrupt Command Register (ICR)',
    'a level-triggered IPI other than INIT de-assert is not supported',
    'it is accepted and sets TMR; de-asserted it is dropped',
    'lapic.c, __apic_accept_irq',
  ),
  deviation(
    'illegal-vector',
    'Valid Interrupt Vectors',
    'vectors 0 to 15 are refused, and told by ESR',
    'they set IRR, and are never dispatched',
    'lapic.c, __apic_accept_irq',
  ),
  deviation(
    'icr-reserved-kept',
    'Interrupt Command Register (ICR)',
    'reserved bits read as 0',
    "the xAPIC's ICR keeps all bits but 12",
    'lapic.c, kvm_lapic_reg_write',
  ),
  deviation(
    'x2apic-busy',
    'ICR Operation in x2APIC Mode',
    'bit 12 is reserved',
    'it is cleared, and raises no #GP',
    'lapic.c, kvm_x2apic_icr_write',
  ),
  deviation(
    'reserved-masked',
    'Reserved Bit Checking',
    'reserved bits of TPR, SVR, EOI, LVT entries and TDCR raise #GP in x2APIC mode',
    'they are masked off; EOI takes any 32 bits. TPR raises #GP where the CPU does its writes by itself (Intel)',
    'lapic.c, kvm_lapic_reg_write',
  ),
  deviation(
    'icr2-after-x2apic-init',
    'Local APIC State After an INIT Reset',
    'INIT clears the ICR, all of it',
    'on AMD bits 63:32 stay in x2APIC mode',
    'lapic.c, kvm_lapic_reset',
  ),
  deviation(
    'lint0-after-init',
    'Local APIC State After an INIT Reset',
    'every LVT entry is masked',
    "the boot processor's LINT0 is ExtINT (KVM_X86_QUIRK_LINT0_REENABLED)",
    'lapic.c, kvm_lapic_reset',
  ),
  deviation(
    'kept-while-disabled',
    'Enabling or Disabling the Local APIC',
    'enabling it again brings it into the state after reset',
    'the registers stay as they are, but for the id',
    'lapic.c, __kvm_apic_set_base',
  ),
  deviation(
    'enabled-unseen',
    'Enabling or Disabling the Local APIC',
    'enabling it leaves nothing pending',
    'what was pending stays, and is dispatched only after something else has made KVM look for events',
    'lapic.c, __kvm_apic_set_base',
  ),
  deviation(
    'mmio-hole',
    'x2APIC Mode',
    'without an APIC page its addresses are memory',
    'writes are dropped, and reads give ones (KVM_X86_QUIRK_LAPIC_MMIO_HOLE)',
    'lapic.c, apic_mmio_write',
  ),
  deviation(
    'ppr-of-set-lapic',
    'Task and Processor Priorities',
    'PPR follows from TPR and ISR',
    'after KVM_SET_LAPIC it follows from what KVM remembers of the ISR of before, until the vCPU is entered',
    'lapic.c, kvm_apic_set_state',
  ),
  deviation(
    'timer-again',
    'APIC Timer',
    'a timer that counts once interrupts once',
    'it does so again when its divisor is changed, or its state given back by KVM_SET_LAPIC, after it has expired',
    'lapic.c, start_sw_period',
  ),
  deviation(
    'tpr-low-bits',
    'Task and Processor Priorities',
    'TPR keeps bits 3:0',
    'on AMD they may be lost at any exit from the guest: V_TPR has bits 7:4 alone',
    'svm/svm.c, sync_cr8_to_lapic',
  ),
  deviation(
    'ppr-behind-tpr',
    'Task and Processor Priorities',
    'PPR follows a write of TPR at once',
    'on Intel the CPU does writes of CR8, and of TPR in x2APIC mode, by itself (TPR shadow); PPR follows when KVM looks next',
    'lapic.c, __apic_update_ppr',
  ),
  deviation(
    'msi-broadcast',
    'Message Address Register Format',
    'destination 0xff is no broadcast in x2APIC mode',
    'it is, for messages (KVM_CAP_X2APIC_API switches that off)',
    'lapic.c, kvm_apic_mda',
  ),
];
