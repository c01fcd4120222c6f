/** What `decodeExit` returns: one union, discriminated by `name`. Payloads: include/uapi/linux/kvm.h, struct kvm_run. */

import type { Icr, Icr2, X2Icr } from '../abi/apic/icr.ts';
import type { ExitReasonName, InternalErrorName, SystemEventName } from '../abi/kvm/exit-reason.ts';
import type {
  runDebug,
  runEoi,
  runEx,
  runFailEntry,
  runHw,
  runHypercall,
  runHypervHcall,
  runHypervSyndbg,
  runHypervSynic,
  runMemoryFault,
  runNotify,
  runSnpReqCerts,
  runXenHcall,
} from '../abi/kvm/kvm-run.ts';
import type { LayoutValue } from '../abi/layout.ts';

interface Named<N extends string> {
  /** The kernel's name of the exit. */
  readonly name: N;
  /** kvm_run.exit_reason. */
  readonly reason: number;
}

/** One variant per name, so that each can be told from the others. */
type Each<N extends string, Payload = unknown> = { [K in N]: Named<K> & Payload }[N];

interface WithRaw {
  /** A copy of kvm_run's 256-byte union. */
  readonly raw: Uint8Array;
}

/** An exit that says all with its name. */
export type PlainExit = Each<
  | 'KVM_EXIT_HLT'
  | 'KVM_EXIT_IRQ_WINDOW_OPEN'
  | 'KVM_EXIT_SHUTDOWN'
  | 'KVM_EXIT_INTR'
  | 'KVM_EXIT_NMI'
  | 'KVM_EXIT_DIRTY_RING_FULL'
  | 'KVM_EXIT_AP_RESET_HOLD'
  | 'KVM_EXIT_X86_BUS_LOCK'
>;

/** The hardware left the guest for a reason that KVM does not handle. */
export interface UnknownExit extends Named<'KVM_EXIT_UNKNOWN'>, LayoutValue<typeof runHw> {}

/** Not made by any KVM of today. */
export interface ExceptionExit extends Named<'KVM_EXIT_EXCEPTION'>, LayoutValue<typeof runEx> {}

/** The guest used a port. */
export interface IoExit extends Named<'KVM_EXIT_IO'> {
  direction: 'in' | 'out';
  /** Bytes per access: 1, 2 or 4. */
  size: number;
  port: number;
  /** Accesses: more than one for INS and OUTS. */
  count: number;
  /** Where the data lie, in bytes from the start of kvm_run; user space writes the answer of an `in` there. */
  dataOffset: bigint;
  /** A copy of the size * count bytes, or of as many of them as the mapping has. */
  data: Uint8Array;
}

/** A hypercall that user space handles (KVM_CAP_EXIT_HYPERCALL). `args`: six. */
export interface HypercallExit extends Named<'KVM_EXIT_HYPERCALL'>, LayoutValue<typeof runHypercall> {}

/** A breakpoint or a single step. `exception` is a vector: 1 (#DB) or 3 (#BP). */
export interface DebugExit extends Named<'KVM_EXIT_DEBUG'>, LayoutValue<typeof runDebug> {}

/** The guest touched an address that no memory and no in-kernel device has. */
export interface MmioExit extends Named<'KVM_EXIT_MMIO'> {
  physAddr: bigint;
  /** Bytes, at most 8. */
  len: number;
  isWrite: boolean;
  /** The `len` bytes, at most 8. Of a read: what the field held before user space answered. */
  data: Uint8Array;
}

/** The CPU refused to enter the guest. */
export interface FailEntryExit extends Named<'KVM_EXIT_FAIL_ENTRY'>, LayoutValue<typeof runFailEntry> {}

/** The guest changed CR8, on a VM without in-kernel LAPIC. */
export interface SetTprExit extends Named<'KVM_EXIT_SET_TPR'> {
  cr8: bigint;
}

/** The guest touched the TPR (KVM_TPR_ACCESS_REPORTING). */
export interface TprAccessExit extends Named<'KVM_EXIT_TPR_ACCESS'> {
  rip: bigint;
  isWrite: boolean;
}

/** KVM cannot go on. */
export interface InternalErrorExit extends Named<'KVM_EXIT_INTERNAL_ERROR'>, WithRaw {
  suberror: number;
  /** The kernel's name of `suberror`, if it has one. */
  suberrorName: InternalErrorName | null;
  ndata: number;
  /** The first `ndata` of 16 words. */
  data: bigint[];
  /** For KVM_INTERNAL_ERROR_EMULATION: the instruction that was not emulated, where the kernel tells. */
  insnBytes: Uint8Array | null;
}

/** The guest wants to shut down, to reset...: `typeName` says. */
export interface SystemEventExit extends Named<'KVM_EXIT_SYSTEM_EVENT'>, WithRaw {
  type: number;
  typeName: SystemEventName | null;
  ndata: number;
  /** The first `ndata` of 16 words. */
  data: bigint[];
}

/** The guest ended a level-triggered interrupt of the split irqchip's IOAPIC. */
export interface IoapicEoiExit extends Named<'KVM_EXIT_IOAPIC_EOI'>, LayoutValue<typeof runEoi> {}

/** Hyper-V: one of the three is set, by `type`. */
export interface HypervExit extends Named<'KVM_EXIT_HYPERV'>, WithRaw {
  type: number;
  synic: LayoutValue<typeof runHypervSynic> | null;
  hcall: LayoutValue<typeof runHypervHcall> | null;
  syndbg: LayoutValue<typeof runHypervSyndbg> | null;
}

/** The guest read or wrote an MSR that user space handles. */
export type MsrExit = Each<'KVM_EXIT_X86_RDMSR' | 'KVM_EXIT_X86_WRMSR', MsrPayload>;
interface MsrPayload {
  error: number;
  /** KVM_MSR_EXIT_REASON_* bits. */
  msrReason: number;
  index: number;
  data: bigint;
}

/** Xen: `hcall` is set for a hypercall. */
export interface XenExit extends Named<'KVM_EXIT_XEN'>, WithRaw {
  type: number;
  hcall: LayoutValue<typeof runXenHcall> | null;
}

/** The guest let no event window open for too long (KVM_CAP_X86_NOTIFY_VMEXIT). */
export interface NotifyExit extends Named<'KVM_EXIT_NOTIFY'>, LayoutValue<typeof runNotify> {}

/** KVM could not resolve a guest page. */
export interface MemoryFaultExit extends Named<'KVM_EXIT_MEMORY_FAULT'>, LayoutValue<typeof runMemoryFault> {}

/** What a TD asks of user space; `null` for a leaf that this package does not know. */
export type TdxCall =
  | { leaf: 'getTdVmCallInfo'; subleaf: bigint; r11: bigint; r12: bigint; r13: bigint; r14: bigint }
  | { leaf: 'getQuote'; gpa: bigint; size: bigint }
  | { leaf: 'setupEventNotify'; vector: bigint }
  | null;

/** A TDVMCALL. */
export interface TdxExit extends Named<'KVM_EXIT_TDX'>, WithRaw {
  flags: bigint;
  nr: bigint;
  ret: bigint;
  call: TdxCall;
}

/** An SNP guest asks for its certificates. */
export interface SnpReqCertsExit extends Named<'KVM_EXIT_SNP_REQ_CERTS'>, LayoutValue<typeof runSnpReqCerts> {}

/** An exit of another architecture: its number has a name, its payload is left as it is. */
export type ForeignExit = Each<
  Extract<
    ExitReasonName,
    | `KVM_EXIT_${'S390' | 'ARM' | 'RISCV' | 'LOONGARCH' | 'PAPR'}_${string}`
    | 'KVM_EXIT_DCR'
    | 'KVM_EXIT_OSI'
    | 'KVM_EXIT_WATCHDOG'
    | 'KVM_EXIT_EPR'
  >,
  WithRaw
>;

/** A guest wrote the xAPIC's ICR or ICR2; the IPI has been delivered locally as well. */
export type DsmSendIrqExit = Named<'KVM_EXIT_DSM_SEND_IRQ'> & {
  /** vcpu_id of the vCPU that wrote. */
  id: number;
  /** The register's byte offset. */
  val: number;
  /** The 32 bits that it wrote. */
  val2: number;
  /** Bits 31:24 of ICR2. Means nothing under a shorthand. */
  destId: number;
} & (
    | { register: 'ICR'; icr: Icr; icr2?: undefined }
    | { register: 'ICR2'; icr?: undefined; icr2: Icr2 }
    | { register: null; icr?: undefined; icr2?: undefined }
  );

/** A guest wrote the x2APIC's ICR. */
export interface DsmX2IcrExit extends Named<'KVM_EXIT_DSM_X2_ICR'> {
  id: number;
  data: bigint;
  icr: X2Icr;
}

/** IA32_APIC_BASE of a vCPU was written. */
export interface DsmApicBaseExit extends Named<'KVM_EXIT_DSM_APIC_BASE'> {
  id: number;
  host: boolean;
  index: number;
  data: bigint;
}

/**
 * A guest accessed its APIC page: a number that the series reserves and gives no payload. The two fields are those of an
 * ancestor, and of the lab kernel's extension; what another kernel puts there is for it to say.
 */
export interface DapicExit extends Named<'KVM_EXIT_DAPIC'>, WithRaw {
  /** vcpu_id of the vCPU that accessed. */
  localCpuid: number;
  /** Where in the page, in bytes. */
  offset: number;
}

/** An exit reason that neither the kernel's header nor the profile has. Not KVM_EXIT_UNKNOWN, which is number 0. */
export interface UnrecognizedExit extends Named<'unrecognized'>, WithRaw {}

/** Everything that KVM_RUN can return with. `name` tells which. */
export type Exit =
  | PlainExit
  | UnknownExit
  | ExceptionExit
  | IoExit
  | HypercallExit
  | DebugExit
  | MmioExit
  | FailEntryExit
  | SetTprExit
  | TprAccessExit
  | InternalErrorExit
  | SystemEventExit
  | IoapicEoiExit
  | HypervExit
  | MsrExit
  | XenExit
  | NotifyExit
  | MemoryFaultExit
  | TdxExit
  | SnpReqCertsExit
  | ForeignExit
  | DsmSendIrqExit
  | DsmX2IcrExit
  | DsmApicBaseExit
  | DapicExit
  | UnrecognizedExit;

export type ExitName = Exit['name'];

/** The variant of `Exit` with that name: `ExitOf<'KVM_EXIT_IO'>`. */
export type ExitOf<N extends ExitName> = Extract<Exit, { name: N }>;
