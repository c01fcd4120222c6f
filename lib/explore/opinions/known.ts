/**
 * Who is known to do something in its own way: KVM and the model on purpose or for long (lib/apic/model/deviations.ts has the rest of
 * those), the emulators by what they leave out. What is told here of an emulator is of QEMU 7.2 and Bochs 2.7.
 */
import { type LapicRegisterName, lapicRegisters, SVR_ENABLE } from '../../abi/apic/lapic.ts';
import type { Known, OpinionName, Spot } from './compare.ts';

const KVM: readonly OpinionName[] = ['model', 'vmx', 'svm'];

/** What an operation writes to a register, if it does. */
function written({ operation }: Spot): number | null {
  if (operation?.do === 'write') return operation.value;
  return operation?.do === 'wrmsr' ? operation.low : null;
}

const writes = (spot: Spot, registers: RegExp) => written(spot) !== null && registers.test(spot.register ?? '');
const inPage = (spot: Spot, registers: RegExp) => spot.mode === 'xapic' && writes(spot, registers);
const byMsr = (spot: Spot, registers: RegExp) => spot.mode === 'x2apic' && writes(spot, registers);

/** The command of an IPI; `null`: it is none, or the SELF IPI register's. */
function sent(spot: Spot): { vector: number; mode: number; assert: boolean; level: boolean; shorthand: number } | null {
  const value = spot.register === 'ICR' ? written(spot) : null;
  if (value === null || (spot.mode === 'xapic' && spot.operation?.do === 'wrmsr')) return null;
  const bit = (at: number) => ((value >>> at) & 1) === 1;
  const [vector, mode, shorthand] = [value & 0xff, (value >>> 8) & 7, (value >>> 18) & 3];
  return { vector, mode, assert: bit(14), level: bit(15), shorthand };
}
/** It names by logical ids. */
const isLogical = (spot: Spot) => sent(spot)?.shorthand === 0 && ((written(spot) ?? 0) & 0x800) !== 0;
/** Whom it names. */
const destination = (spot: Spot) =>
  spot.operation?.do === 'wrmsr' ? spot.operation.high : registerBefore(spot, 'ICR2') >>> 24;
const [LOWEST, EXTINT] = [1, 7];
const isFixed = (spot: Spot) => (sent(spot)?.mode ?? EXTINT) <= LOWEST;

/** What an interrupt that is taken, or is not, changes at once. */
const byInterrupt = ({ field }: Spot) => /^(?:handlers|[IT][RM]R\d|ISR\d|PPR)$/.test(field);
const LVT = /^LVT_/;
/** Whose handlers ran, as somebody saw it. */
const vectorsOf = ({ values }: Spot, name: OpinionName) => (values.get(name) ?? 'none').split(' ').map(Number);
/** NMI, and #GP. */
const ownVectors = [2, 13];

const registerBefore = ({ before }: Spot, register: LapicRegisterName) =>
  before?.registers[lapicRegisters[register] >> 4] ?? 0;
/** The APIC is software-disabled when the operation ends. */
const isDisabled = (spot: Spot) =>
  ((writes(spot, /^SVR$/) ? written(spot)! : registerBefore(spot, 'SVR')) & SVR_ENABLE) === 0;
/** The id is another one than that of the reset. */
const hasOtherId = (spot: Spot) => registerBefore(spot, 'ID') !== 0;

const known = (
  name: string,
  who: readonly OpinionName[],
  section: string,
  does: string,
  where: string,
  covers: (spot: Spot) => boolean,
  parts = false,
): Known => ({ name, who, section, does, where, covers, parts });

const LAPIC = 'arch/x86/kvm/lapic.c';
const QEMU = 'hw/intc/apic.c';
const BOCHS = 'cpu/apic.cc';
const ICR = 'Interrupt Command Register (ICR)';
const VALID = 'Valid Combinations for the ICR';
const DISABLED = 'Local APIC State After It Has Been Software Disabled';
const RESERVED = 'Reserved Bit Checking';

export const knownWays: readonly Known[] = [
  known(
    'lint0-after-init',
    KVM,
    'Local APIC State After an INIT Reset',
    "the boot processor's LINT0 is ExtINT, not masked",
    `${LAPIC}, kvm_lapic_reset (KVM_X86_QUIRK_LINT0_REENABLED)`,
    ({ operation, field }) => operation === null && field === 'LVT_LINT0',
  ),
  known(
    'tpr-low-bits',
    ['svm'],
    'Task and Processor Priorities',
    'bits 3:0 of TPR are lost: V_TPR has bits 7:4 alone',
    'arch/x86/kvm/svm/svm.c, sync_cr8_to_lapic',
    ({ field, register }) => /^(?:TPR|PPR)$/.test(field === 'result' ? (register ?? '') : field),
  ),
  known(
    'esr-never-set',
    KVM,
    'Error Handling',
    'errors are not gathered in ESR, and raise no interrupt',
    `${LAPIC}, kvm_lapic_reg_write`,
    ({ field, register }) => (field === 'result' ? register : field) === 'ESR',
  ),
  known(
    'illegal-vector',
    [...KVM, 'qemu'],
    'Valid Interrupt Vectors',
    'vectors 0 to 15 are accepted: they set IRR, and are never dispatched',
    `${LAPIC}, __apic_accept_irq; ${QEMU}, apic_set_irq`,
    (spot) =>
      /^[IT][RM]R0$/.test(spot.field) &&
      (spot.register === 'SELF_IPI' ? (written(spot) ?? 0xff) & 0xff : (sent(spot)?.vector ?? 0xff)) < 16,
  ),
  known(
    'reserved-masked',
    KVM,
    RESERVED,
    'reserved bits of SVR, EOI and TPR (on AMD) are masked off in x2APIC mode, and raise no #GP',
    `${LAPIC}, kvm_lapic_reg_write`,
    (spot) => byMsr(spot, /^EOI$/) || (byMsr(spot, /^SVR$/) && (written(spot) ?? 0) > 0x1ff),
    true,
  ),
  known(
    'tpr-reserved-amd',
    ['svm'],
    RESERVED,
    'reserved bits of TPR are masked off in x2APIC mode, and raise no #GP',
    `${LAPIC}, kvm_lapic_reg_write`,
    (spot) => byMsr(spot, /^TPR$/) && (written(spot) ?? 0) > 0xff,
    true,
  ),
  known(
    'level-deassert-dropped',
    KVM,
    VALID,
    'a level-triggered fixed IPI that is de-asserted is dropped',
    `${LAPIC}, __apic_accept_irq`,
    (spot) => isFixed(spot) && sent(spot)!.level && !sent(spot)!.assert && byInterrupt(spot),
    true,
  ),
  known(
    'qemu-msrs',
    ['qemu'],
    'x2APIC Register Address Space',
    'MSRs that it does not know, those of x2APIC mode too, read as 0 and take any write: no #GP',
    'target/i386/tcg/sysemu/misc_helper.c, helper_rdmsr and helper_wrmsr',
    ({ operation, field }) =>
      (operation?.do === 'rdmsr' || operation?.do === 'wrmsr') &&
      operation.msr >= 0x800 &&
      (field === 'handlers' || field === 'result'),
    true,
  ),
  known(
    'qemu-lvt-bits',
    ['qemu'],
    'Local Vector Table',
    'an LVT entry keeps all 32 bits, and is not masked while the APIC is software-disabled',
    `${QEMU}, apic_mem_write`,
    (spot) => LVT.test(spot.field) && inPage(spot, /^(?:LVT_.*|SVR)$/),
  ),
  known(
    'qemu-svr-focus',
    ['qemu'],
    'Spurious Interrupt',
    'SVR keeps bits 8:0: not bit 9, focus processor checking',
    `${QEMU}, apic_mem_write`,
    (spot) => spot.field === 'SVR' && ((written(spot) ?? 0) & 0x200) !== 0,
  ),
  known(
    'qemu-icr-bits',
    ['qemu'],
    ICR,
    'ICR keeps the delivery status, which is read-only, and ICR2 its reserved bits',
    `${QEMU}, apic_mem_write`,
    (spot) =>
      (spot.field === 'ICR' && ((written(spot) ?? 0) & 0x1000) !== 0) ||
      (spot.field === 'ICR2' && ((written(spot) ?? 0) & 0xff_ffff) !== 0),
  ),
  known(
    'qemu-esr',
    ['qemu'],
    'Error Handling',
    'a write of ESR neither brings what has happened since nor clears it; an illegal address is shown at once',
    `${QEMU}, apic_mem_write`,
    ({ field, register }) => (field === 'result' ? register : field) === 'ESR',
  ),
  known(
    'disabled-accepts',
    ['qemu', 'bochs'],
    DISABLED,
    'a software-disabled APIC accepts fixed interrupts: they set IRR',
    `${QEMU}, apic_set_irq; ${BOCHS}, trigger_irq`,
    (spot) => (isFixed(spot) || spot.register === 'SELF_IPI') && isDisabled(spot) && byInterrupt(spot),
    true,
  ),
  known(
    'qemu-disabled-holds',
    ['qemu'],
    DISABLED,
    'what was pending when the APIC was software-disabled is not dispatched until it is enabled again',
    `${QEMU}, apic_irq_pending`,
    (spot) => isDisabled(spot) && byInterrupt(spot),
    true,
  ),
  known(
    'no-spurious',
    [...KVM, 'qemu'],
    'Spurious Interrupt',
    'no spurious interrupt comes where TPR was raised above one that was signalled already',
    `${LAPIC}, kvm_apic_has_interrupt; ${QEMU}, apic_update_irq`,
    (spot) => spot.field === 'handlers' && vectorsOf(spot, 'bochs').includes(registerBefore(spot, 'SVR') & 0xff),
    true,
  ),
  known(
    'bochs-spurious-eoi',
    ['bochs'],
    'Spurious Interrupt',
    'EOI does nothing while the highest in service has the vector of SVR, whatever has brought it',
    `${BOCHS}, receive_EOI`,
    (spot) => {
      const vector = registerBefore(spot, 'SVR') & 0xff;
      if (spot.field === 'PPR') return Number(spot.values.get('bochs')) === (vector & 0xf0);
      return spot.field === `ISR${vector >> 5}` && ((Number(spot.values.get('bochs')) >>> (vector & 31)) & 1) === 1;
    },
    true,
  ),
  known(
    'extint-as-fixed',
    ['qemu', 'bochs'],
    VALID,
    'an IPI of delivery mode ExtINT is delivered as a fixed one',
    `${QEMU}, apic_bus_deliver; ${BOCHS}, deliver`,
    (spot) => sent(spot)?.mode === EXTINT && byInterrupt(spot),
    true,
  ),
  known(
    'bochs-self-is-fixed',
    ['bochs'],
    VALID,
    'with the shorthand self every delivery mode is fixed: an NMI sets IRR',
    `${BOCHS}, send_ipi`,
    (spot) => sent(spot)?.shorthand === 1 && !isFixed(spot) && byInterrupt(spot),
    true,
  ),
  known(
    'qemu-self-by-id',
    ['qemu'],
    'Determining IPI Destination',
    'shorthands look for the sender by its id: one that was written to the register is nobody',
    `${QEMU}, apic_deliver`,
    (spot) =>
      (sent(spot)?.shorthand ?? 0) % 2 === 1 && hasOtherId(spot) && (byInterrupt(spot) || spot.field === 'reset'),
    true,
  ),
  known(
    'bochs-id-readonly',
    ['bochs'],
    'Local APIC ID',
    'the id cannot be written',
    `${BOCHS}, write_aligned`,
    (spot) => inPage(spot, /^ID$/) && spot.field === 'ID',
    true,
  ),
  known(
    'bochs-tmr-cleared',
    ['bochs'],
    'Interrupt Acceptance for Fixed Interrupts',
    'EOI clears the bit in TMR; an interrupt that is pending already leaves TMR as it is',
    `${BOCHS}, receive_EOI and trigger_irq`,
    ({ field }) => /^TMR\d$/.test(field),
  ),
  known(
    'bochs-lowest-physical',
    ['bochs'],
    'Lowest Priority Delivery Mode',
    'an IPI of lowest priority with a physical destination is not sent',
    `${BOCHS}, apic_bus_deliver_interrupt`,
    (spot) => sent(spot)?.mode === LOWEST && ((written(spot) ?? 0) & 0x800) === 0 && byInterrupt(spot),
    true,
  ),
  known(
    'logical-broadcast',
    ['qemu', 'bochs'],
    'Logical Destination Mode',
    'a logical destination of 0xff names nobody who has no bit in LDR, and on QEMU no other cluster',
    `${QEMU}, apic_get_delivery_bitmask; ${BOCHS}, match_logical_addr`,
    (spot) => isLogical(spot) && destination(spot) === 0xff && byInterrupt(spot),
    true,
  ),
  known(
    'logical-to-disabled',
    KVM,
    DISABLED,
    'NMI and INIT that name a software-disabled APIC by a logical id do not arrive',
    `${LAPIC}, kvm_recalculate_logical_map`,
    (spot) => isLogical(spot) && isDisabled(spot) && (byInterrupt(spot) || spot.field === 'reset'),
    true,
  ),
  known(
    'arbpri-zero',
    [...KVM, 'qemu'],
    'Lowest Priority Delivery Mode',
    'APR reads as 0',
    `${LAPIC}, __apic_read; ${QEMU}, apic_get_arb_pri`,
    ({ field, register }) => field === 'result' && register === 'APR',
  ),
  known(
    'qemu-class-0',
    ['qemu'],
    'Valid Interrupt Vectors',
    'with PPR 0 a vector from 0 to 15 is dispatched',
    `${QEMU}, apic_irq_pending`,
    (spot) => {
      if (spot.field !== 'handlers') return /^I[SR]R0$/.test(spot.field) && Number(spot.values.get('qemu')) < 0x1_0000;
      return vectorsOf(spot, 'qemu').some((vector) => vector < 16 && !ownVectors.includes(vector));
    },
    true,
  ),
  known(
    'bochs-cpu',
    ['bochs'],
    'Local Vector Table',
    'its CPU has what those of the others lack: the TSC deadline (LVT_TIMER bit 18) and LVT_CMCI',
    `${BOCHS}, set_lvt_entry`,
    ({ field, register }) => (/^(?:handlers|result)$/.test(field) ? register === 'LVT_CMCI' : field === 'LVT_TIMER'),
  ),
  known(
    'lowest-priority-absent',
    KVM,
    'Lowest Priority Delivery Mode',
    'with kvm.vector_hashing it is dropped if the hash falls on a bit of the destination that nobody has',
    `${LAPIC}, kvm_apic_map_get_dest_lapic`,
    (spot) => sent(spot)?.mode === LOWEST && isLogical(spot) && byInterrupt(spot),
    true,
  ),
  known(
    'bochs-lowest-excluded',
    ['bochs'],
    'Lowest Priority Delivery Mode',
    'with the shorthand of all but self, one of lowest priority may come to the sender',
    `${BOCHS}, apic_bus_broadcast_interrupt`,
    (spot) => sent(spot)?.mode === LOWEST && sent(spot)!.shorthand === 3 && byInterrupt(spot),
    true,
  ),
  known(
    'bochs-x2apic-ldr',
    ['bochs'],
    'x2APIC Register Address Space',
    'LDR follows from the id only when the mode is left, not when it is entered',
    `${BOCHS}, set_base`,
    ({ mode, field, register }) => mode === 'x2apic' && (field === 'result' ? register : field) === 'LDR',
  ),
  known(
    'bochs-x2apic-logical',
    ['bochs'],
    'x2APIC Register Address Space',
    'without that LDR no logical id names it',
    `${BOCHS}, match_logical_addr`,
    (spot) => spot.mode === 'x2apic' && isLogical(spot) && byInterrupt(spot),
    true,
  ),
  known(
    'bochs-x2apic-icr',
    ['bochs'],
    'ICR Operation in x2APIC Mode',
    'ICR does not keep what was written',
    `${BOCHS}, write_x2apic`,
    (spot) => spot.mode === 'x2apic' && /^(?:ICR2?|result)$/.test(spot.field) && spot.register === 'ICR',
  ),
  known(
    'bochs-x2apic-reserved',
    ['bochs'],
    RESERVED,
    'reserved bits of ICR and SELF IPI raise no #GP',
    `${BOCHS}, write_x2apic`,
    (spot) =>
      byMsr(spot, /^(?:ICR|SELF_IPI)$/) &&
      ((written(spot) ?? 0) & (spot.register === 'ICR' ? 0xfff3_2000 : 0xffff_ff00)) !== 0 &&
      (byInterrupt(spot) || /^(?:ICR2?|reset)$/.test(spot.field)),
    true,
  ),
];
