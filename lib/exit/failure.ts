/** The exits that the guest does not come back from: KVM, or the CPU, could not go on. */
import {
  type InternalErrorName,
  internalErrorName,
  internalErrors,
  KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
} from '../abi/kvm/exit-reason.ts';
import { copyUnion, RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { array, bytes, fieldChecks, layout, u8, u32, u64 } from '../abi/layout.ts';
import { bytes as bytesField, oneOf, orNull } from '../base/shape.ts';
import { hex, hexBytes } from '../base/text.ts';
import { type Kinds, type Named, rawField, type WithRaw, wordsField } from './family.ts';
import { dataWords } from './words.ts';

/** KVM_EXIT_UNKNOWN. */
export const runHw = layout('struct kvm_run', 8, { hardwareExitReason: u64(0) }, 'hw');

/** KVM_EXIT_FAIL_ENTRY. */
export const runFailEntry = layout(
  'struct kvm_run',
  16,
  { hardwareEntryFailureReason: u64(0), cpu: u32(8) },
  'fail_entry',
);

/** KVM_EXIT_INTERNAL_ERROR. `ndata` of the 16 `data` words are valid. */
export const runInternal = layout(
  'struct kvm_run',
  136,
  { suberror: u32(0), ndata: u32(4), data: array(u64, 8, 16) },
  'internal',
);

/** KVM_EXIT_INTERNAL_ERROR with KVM_INTERNAL_ERROR_EMULATION: lies over `internal`. */
export const runEmulationFailure = layout(
  'struct kvm_run',
  32,
  { suberror: u32(0), ndata: u32(4), flags: u64(8), insnSize: u8(16), insnBytes: bytes(17, 15) },
  'emulation_failure',
);

/** The hardware left the guest for a reason that KVM does not handle. */
export interface UnknownExit extends Named<'KVM_EXIT_UNKNOWN'> {
  /** The hardware's exit reason: of VMX that of SDM vol. 3 appendix C, of SVM the exit code of APM vol. 2 appendix C. */
  hardwareExitReason: bigint;
}

/** A triple fault. */
export interface ShutdownExit extends Named<'KVM_EXIT_SHUTDOWN'> {}

/** The CPU refused to enter the guest. */
export interface FailEntryExit extends Named<'KVM_EXIT_FAIL_ENTRY'> {
  /** The hardware's reason: of VMX an exit reason with bit 31, or a VM-instruction error (SDM vol. 3, VM-instruction error numbers); of SVM an exit code. */
  hardwareEntryFailureReason: bigint;
  /** The host's CPU that refused. */
  cpu: number;
}

/** KVM cannot go on. */
export interface InternalErrorExit extends Named<'KVM_EXIT_INTERNAL_ERROR'>, WithRaw {
  /** KVM_INTERNAL_ERROR_*: 1 EMULATION, 2 SIMUL_EX, 3 DELIVERY_EV, 4 UNEXPECTED_EXIT_REASON. */
  suberror: number;
  /** The kernel's name of `suberror`, if it has one. */
  suberrorName: InternalErrorName | null;
  /** How many words of `data` the kernel has filled, as it says: 0 to 16 of a kernel that is right. */
  ndata: number;
  /** The first `ndata` of 16 words. */
  data: bigint[];
  /** For KVM_INTERNAL_ERROR_EMULATION: the instruction that was not emulated, where the kernel tells. */
  insnBytes: Uint8Array | null;
}

export type FailureExits = UnknownExit | ShutdownExit | FailEntryExit | InternalErrorExit;

export const failureExits: Kinds<FailureExits> = {
  KVM_EXIT_UNKNOWN: {
    fields: fieldChecks(runHw),
    decode: (view, reason) => ({ name: 'KVM_EXIT_UNKNOWN', reason, ...runHw.read(view, RUN_UNION_OFFSET) }),
    text: ({ hardwareExitReason }) =>
      `the hardware left the guest with reason ${hex(hardwareExitReason)}, which KVM does not handle`,
    goesOnByItself: false,
  },
  KVM_EXIT_SHUTDOWN: {
    fields: {},
    decode: (_, reason) => ({ name: 'KVM_EXIT_SHUTDOWN', reason }),
    goesOnByItself: false,
  },
  KVM_EXIT_FAIL_ENTRY: {
    fields: fieldChecks(runFailEntry),
    decode: (view, reason) => ({ name: 'KVM_EXIT_FAIL_ENTRY', reason, ...runFailEntry.read(view, RUN_UNION_OFFSET) }),
    text: ({ cpu, hardwareEntryFailureReason }) =>
      `CPU ${cpu} refused to enter the guest, hardware reason ${hex(hardwareEntryFailureReason)}`,
    goesOnByItself: false,
  },
  KVM_EXIT_INTERNAL_ERROR: {
    fields: {
      ...fieldChecks(runInternal),
      suberrorName: orNull(oneOf(Object.keys(internalErrors) as InternalErrorName[])),
      data: wordsField(16),
      insnBytes: orNull(bytesField(0, 15)),
      raw: rawField,
    },
    decode(view, reason) {
      const { suberror, ndata, data } = runInternal.read(view, RUN_UNION_OFFSET);
      const suberrorName = internalErrorName(suberror) ?? null;
      return {
        name: 'KVM_EXIT_INTERNAL_ERROR',
        reason,
        suberror,
        suberrorName,
        ndata,
        data: data.slice(0, ndata),
        insnBytes: suberrorName === 'KVM_INTERNAL_ERROR_EMULATION' ? instructionOf(view) : null,
        raw: copyUnion(view),
      };
    },
    text({ suberror, suberrorName, insnBytes, data }) {
      const insn = insnBytes?.length ? `, instruction ${hexBytes(insnBytes)}` : '';
      return `${suberrorName ?? `suberror ${suberror}`}${insn}${dataWords(data)}`;
    },
    goesOnByItself: false,
  },
};

function instructionOf(view: DataView): Uint8Array | null {
  const { ndata, flags, insnSize, insnBytes } = runEmulationFailure.read(view, RUN_UNION_OFFSET);
  // Three words: the flags, and 16 bytes of instruction. Kernels before 5.15 give fewer.
  if (ndata < 3 || !(flags & BigInt(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))) return null;
  return insnBytes.subarray(0, insnSize);
}
