/** Confidential guests: private memory, TDX, SEV-SNP. */
import {
  KVM_MEMORY_EXIT_FLAG_PRIVATE,
  TDVMCALL_GET_QUOTE,
  TDVMCALL_GET_TD_VM_CALL_INFO,
  TDVMCALL_SETUP_EVENT_NOTIFY_INTERRUPT,
} from '../abi/kvm/exit-reason.ts';
import { copyUnion, RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { array, fieldChecks, type LayoutValue, layout, u64 } from '../abi/layout.ts';
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

export type ConfidentialExits = MemoryFaultExit | TdxExit | SnpReqCertsExit;

const tdxCalls = {
  getTdVmCallInfo: { subleaf: u64Bigint, r11: u64Bigint, r12: u64Bigint, r13: u64Bigint, r14: u64Bigint },
  getQuote: { gpa: u64Bigint, size: u64Bigint },
  setupEventNotify: { vector: u64Bigint },
} as const satisfies Record<NonNullable<TdxCall>['leaf'], unknown>;

/** A call of any leaf: what is known of one is not asked of another. */
const tdxCallCheck = orNull(
  shape('a TDVMCALL has', {
    leaf: oneOf(Object.keys(tdxCalls)),
    ...tdxCalls.getTdVmCallInfo,
    ...tdxCalls.getQuote,
    ...tdxCalls.setupEventNotify,
  }),
) as unknown as ValueCheck<TdxCall>;

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

function tdxCall(nr: bigint, data: readonly bigint[]): TdxCall {
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

function describeCall(nr: bigint, call: TdxCall): string {
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
