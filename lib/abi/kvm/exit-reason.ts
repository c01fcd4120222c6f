/** kvm_run.exit_reason and the numbers inside the exits. Source: include/uapi/linux/kvm.h, up to Linux 7.0. */
import { namesByNumber } from '../names.ts';

/** Every exit reason of mainline, those of other architectures included. DSM's are in the profiles under dsm/. */
export const exitReasons = {
  KVM_EXIT_UNKNOWN: 0,
  KVM_EXIT_EXCEPTION: 1,
  KVM_EXIT_IO: 2,
  KVM_EXIT_HYPERCALL: 3,
  KVM_EXIT_DEBUG: 4,
  KVM_EXIT_HLT: 5,
  KVM_EXIT_MMIO: 6,
  KVM_EXIT_IRQ_WINDOW_OPEN: 7,
  KVM_EXIT_SHUTDOWN: 8,
  KVM_EXIT_FAIL_ENTRY: 9,
  KVM_EXIT_INTR: 10,
  KVM_EXIT_SET_TPR: 11,
  KVM_EXIT_TPR_ACCESS: 12,
  KVM_EXIT_S390_SIEIC: 13,
  KVM_EXIT_S390_RESET: 14,
  KVM_EXIT_DCR: 15,
  KVM_EXIT_NMI: 16,
  KVM_EXIT_INTERNAL_ERROR: 17,
  KVM_EXIT_OSI: 18,
  KVM_EXIT_PAPR_HCALL: 19,
  KVM_EXIT_S390_UCONTROL: 20,
  KVM_EXIT_WATCHDOG: 21,
  KVM_EXIT_S390_TSCH: 22,
  KVM_EXIT_EPR: 23,
  KVM_EXIT_SYSTEM_EVENT: 24,
  KVM_EXIT_S390_STSI: 25,
  KVM_EXIT_IOAPIC_EOI: 26,
  KVM_EXIT_HYPERV: 27,
  KVM_EXIT_ARM_NISV: 28,
  KVM_EXIT_X86_RDMSR: 29,
  KVM_EXIT_X86_WRMSR: 30,
  KVM_EXIT_DIRTY_RING_FULL: 31,
  KVM_EXIT_AP_RESET_HOLD: 32,
  KVM_EXIT_X86_BUS_LOCK: 33,
  KVM_EXIT_XEN: 34,
  KVM_EXIT_RISCV_SBI: 35,
  KVM_EXIT_RISCV_CSR: 36,
  KVM_EXIT_NOTIFY: 37,
  KVM_EXIT_LOONGARCH_IOCSR: 38,
  KVM_EXIT_MEMORY_FAULT: 39,
  KVM_EXIT_TDX: 40,
  KVM_EXIT_ARM_SEA: 41,
  KVM_EXIT_ARM_LDST64B: 42,
  KVM_EXIT_SNP_REQ_CERTS: 43,
} as const;
export type ExitReasonName = keyof typeof exitReasons;

const names = namesByNumber(exitReasons);

/** The kernel's name of a mainline exit reason, or `undefined`: a number may still be one of a DSM profile. */
export function exitReasonName(reason: number): ExitReasonName | undefined {
  return names.get(reason);
}

/** `direction` of KVM_EXIT_IO. */
export const KVM_EXIT_IO_IN = 0;
export const KVM_EXIT_IO_OUT = 1;

/** `suberror` of KVM_EXIT_INTERNAL_ERROR. */
export const internalErrors = {
  KVM_INTERNAL_ERROR_EMULATION: 1,
  KVM_INTERNAL_ERROR_SIMUL_EX: 2,
  KVM_INTERNAL_ERROR_DELIVERY_EV: 3,
  KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON: 4,
} as const;
export type InternalErrorName = keyof typeof internalErrors;

/** `flags` of an emulation failure: `insnBytes` holds the instruction. */
export const KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1;

/** `type` of KVM_EXIT_SYSTEM_EVENT. */
export const systemEvents = {
  KVM_SYSTEM_EVENT_SHUTDOWN: 1,
  KVM_SYSTEM_EVENT_RESET: 2,
  KVM_SYSTEM_EVENT_CRASH: 3,
  KVM_SYSTEM_EVENT_WAKEUP: 4,
  KVM_SYSTEM_EVENT_SUSPEND: 5,
  KVM_SYSTEM_EVENT_SEV_TERM: 6,
  KVM_SYSTEM_EVENT_TDX_FATAL: 7,
} as const;
export type SystemEventName = keyof typeof systemEvents;

/** `type` of KVM_EXIT_HYPERV. */
export const KVM_EXIT_HYPERV_SYNIC = 1;
export const KVM_EXIT_HYPERV_HCALL = 2;
export const KVM_EXIT_HYPERV_SYNDBG = 3;

/** `type` of KVM_EXIT_XEN. */
export const KVM_EXIT_XEN_HCALL = 1;

/** `reason` bits of KVM_EXIT_X86_RDMSR and KVM_EXIT_X86_WRMSR, and args[0] of KVM_CAP_X86_USER_SPACE_MSR. */
export const KVM_MSR_EXIT_REASON_INVAL = 1;
export const KVM_MSR_EXIT_REASON_UNKNOWN = 2;
export const KVM_MSR_EXIT_REASON_FILTER = 4;

/** `flags` of KVM_EXIT_NOTIFY: the vCPU's context is corrupt, it cannot run on. */
export const KVM_NOTIFY_CONTEXT_INVALID = 1;

/** `flags` of KVM_EXIT_MEMORY_FAULT: the access was to private memory. */
export const KVM_MEMORY_EXIT_FLAG_PRIVATE = 8;

/** kvm_run.flags on x86. */
export const KVM_RUN_X86_SMM = 1;
export const KVM_RUN_X86_BUS_LOCK = 2;
export const KVM_RUN_X86_GUEST_MODE = 4;

/**
 * `nr` of KVM_EXIT_TDX: the TDVMCALL's leaf. Source: arch/x86/include/asm/shared/tdx.h, after Intel's Guest-Hypervisor
 * Communication Interface; not in the user space headers.
 */
export const TDVMCALL_GET_TD_VM_CALL_INFO = 0x1_0000;
export const TDVMCALL_GET_QUOTE = 0x1_0002;
export const TDVMCALL_SETUP_EVENT_NOTIFY_INTERRUPT = 0x1_0004;

const internalErrorNames = namesByNumber(internalErrors);
const systemEventNames = namesByNumber(systemEvents);

/** The kernel's name of a suberror, or `undefined`. */
export function internalErrorName(suberror: number): InternalErrorName | undefined {
  return internalErrorNames.get(suberror);
}

/** The kernel's name of a system event's type, or `undefined`. */
export function systemEventName(type: number): SystemEventName | undefined {
  return systemEventNames.get(type);
}
