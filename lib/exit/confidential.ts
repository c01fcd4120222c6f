/** Confidential guests: private memory, TDX, SEV-SNP. */
import {
  KVM_MEMORY_EXIT_FLAG_PRIVATE,
  TDVMCALL_GET_QUOTE,
  TDVMCALL_GET_TD_VM_CALL_INFO,
  TDVMCALL_SETUP_EVENT_NOTIFY_INTERRUPT,
} from '../abi/kvm/exit-reason.ts';
import { copyUnion, RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { array, fieldChecks, layout, u64 } from '../abi/layout.ts';
import { oneOf, orNull, shape, u64Bigint, type ValueCheck } from '../base/shape.ts';
import { hex } from '../base/text.ts';
import { type Kinds, type Named, rawField, type WithRaw } from './family.ts';

/** KVM_EXIT_MEMORY_FAULT. `size` in bytes. Linux 6.8 on. */
export const runMemoryFault = layout(
  'struct kvm_run',
  24,
  { flags: u64(0), gpa: u64(8), size: u64(16) },
  'memory_fault',
);

/** KVM_EXIT_TDX. The six words that follow `nr` mean what `nr` says; the first is the return value. Linux 6.16 on. */
export const runTdx = layout(
  'struct kvm_run',
  64,
  {
    flags: u64(0),
    nr: u64(8),
    ret: u64(16, { cName: 'unknown.ret' }),
    data: array(u64, 24, 5, { cName: 'unknown.data' }),
  },
  'tdx',
);

/** KVM_EXIT_SNP_REQ_CERTS. Linux 7.0 on. */
export const runSnpReqCerts = layout(
  'struct kvm_run',
  24,
  { gpa: u64(0), npages: u64(8), ret: u64(16) },
  'snp_req_certs',
);

/** KVM could not resolve a guest page. Linux 6.8 on. */
export interface MemoryFaultExit extends Named<'KVM_EXIT_MEMORY_FAULT'> {
  /** KVM_MEMORY_EXIT_FLAG_PRIVATE (8): the guest used it as private memory; otherwise as shared memory. */
  flags: bigint;
  /** Guest physical address where the range begins. */
  gpa: bigint;
  /** Bytes. */
  size: bigint;
}

/** What a TD asks of user space. Sources: Documentation/virt/kvm/api.rst, KVM_EXIT_TDX; Intel's GHCI. */
export type TdxCall =
  | {
      /** TDVMCALL_GET_TD_VM_CALL_INFO: which TDVMCALLs there are. */
      leaf: 'getTdVmCallInfo';
      /** The leaf that it asks about. */
      subleaf: bigint;
      /** r11 to r14: where user space answers. */
      r11: bigint;
      /** See r11. */
      r12: bigint;
      /** See r11. */
      r13: bigint;
      /** See r11. */
      r14: bigint;
    }
  | {
      /** TDVMCALL_GET_QUOTE: a signed quote of the TD's report. */
      leaf: 'getQuote';
      /** Guest physical address of the shared buffer that has the report, and gets the quote. */
      gpa: bigint;
      /** Bytes of the buffer. */
      size: bigint;
    }
  | {
      /** TDVMCALL_SETUP_EVENT_NOTIFY_INTERRUPT: an interrupt for events of user space. */
      leaf: 'setupEventNotify';
      /** The vector of that interrupt. */
      vector: bigint;
    };

/** A TDVMCALL that KVM leaves to user space. Linux 6.16 on. */
export interface TdxExit extends Named<'KVM_EXIT_TDX'>, WithRaw {
  /** 0: the kernel has no flags yet. */
  flags: bigint;
  /** The TDVMCALL's number: the guest's R11. */
  nr: bigint;
  /** Where user space answers with a TDVMCALL status. */
  ret: bigint;
  /** What `nr` asks for; `null` for a number that this package does not know: its words are in `raw`. */
  call: TdxCall | null;
}

/** An SNP guest asks for its certificates. Linux 7.0 on. */
export interface SnpReqCertsExit extends Named<'KVM_EXIT_SNP_REQ_CERTS'> {
  /** Guest physical address of the buffer for them. */
  gpa: bigint;
  /** The buffer's size in pages of 4096 bytes. */
  npages: bigint;
  /** Where user space answers: 0, or an errno. */
  ret: bigint;
}

export type ConfidentialExits = MemoryFaultExit | TdxExit | SnpReqCertsExit;

const tdxCalls = {
  getTdVmCallInfo: { subleaf: u64Bigint, r11: u64Bigint, r12: u64Bigint, r13: u64Bigint, r14: u64Bigint },
  getQuote: { gpa: u64Bigint, size: u64Bigint },
  setupEventNotify: { vector: u64Bigint },
} as const satisfies Record<TdxCall['leaf'], unknown>;

/** A call of any leaf: what is known of one is not asked of another. */
const tdxCallCheck = orNull(
  shape('a TDVMCALL has', {
    leaf: oneOf(Object.keys(tdxCalls)),
    ...tdxCalls.getTdVmCallInfo,
    ...tdxCalls.getQuote,
    ...tdxCalls.setupEventNotify,
  }),
) as unknown as ValueCheck<TdxCall | null>;

export const confidentialExits: Kinds<ConfidentialExits> = {
  KVM_EXIT_MEMORY_FAULT: {
    fields: fieldChecks(runMemoryFault),
    decode(view, reason) {
      return { name: 'KVM_EXIT_MEMORY_FAULT', reason, ...runMemoryFault.read(view, RUN_UNION_OFFSET) };
    },
    text({ flags, gpa, size }) {
      const kind = flags & BigInt(KVM_MEMORY_EXIT_FLAG_PRIVATE) ? 'private' : 'shared';
      return `${size} bytes at ${hex(gpa)} were used as ${kind} memory (flags ${hex(flags)})`;
    },
    goesOnByItself: false,
  },
  KVM_EXIT_TDX: {
    fields: { flags: u64Bigint, nr: u64Bigint, ret: u64Bigint, call: tdxCallCheck, raw: rawField },
    decode(view, reason) {
      const { flags, nr, ret, data } = runTdx.read(view, RUN_UNION_OFFSET);
      return { name: 'KVM_EXIT_TDX', reason, flags, nr, ret, call: tdxCall(nr, data), raw: copyUnion(view) };
    },
    text: ({ nr, call }) => describeCall(nr, call),
    goesOnByItself: false,
  },
  KVM_EXIT_SNP_REQ_CERTS: {
    fields: fieldChecks(runSnpReqCerts),
    decode(view, reason) {
      return { name: 'KVM_EXIT_SNP_REQ_CERTS', reason, ...runSnpReqCerts.read(view, RUN_UNION_OFFSET) };
    },
    text: ({ gpa, npages }) => `certificates wanted at ${hex(gpa)}, room for ${npages} pages`,
    goesOnByItself: false,
  },
};

function tdxCall(nr: bigint, data: readonly bigint[]): TdxCall | null {
  const [first, second, third, fourth, fifth] = data as [bigint, bigint, bigint, bigint, bigint];
  switch (nr) {
    case BigInt(TDVMCALL_GET_TD_VM_CALL_INFO):
      return { leaf: 'getTdVmCallInfo', subleaf: first, r11: second, r12: third, r13: fourth, r14: fifth };
    case BigInt(TDVMCALL_GET_QUOTE):
      return { leaf: 'getQuote', gpa: first, size: second };
    case BigInt(TDVMCALL_SETUP_EVENT_NOTIFY_INTERRUPT):
      return { leaf: 'setupEventNotify', vector: first };
    default:
      return null;
  }
}

function describeCall(nr: bigint, call: TdxCall | null): string {
  switch (call?.leaf) {
    case 'getQuote':
      return `the guest asks for a quote in ${call.size} bytes at ${hex(call.gpa)}`;
    case 'getTdVmCallInfo':
      return `the guest asks which TDVMCALLs there are, leaf ${hex(call.subleaf)}`;
    case 'setupEventNotify':
      return `the guest wants event notifications on vector ${hex(call.vector)}`;
    default:
      return `TDVMCALL ${hex(nr)}`;
  }
}
