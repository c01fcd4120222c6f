/** Accesses to MSRs that user space handles. */
import { RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { fieldChecks, layout, u8, u32, u64 } from '../abi/layout.ts';
import { hex } from '../base/text.ts';
import type { Kinds, Named } from './family.ts';

/** KVM_EXIT_X86_RDMSR, KVM_EXIT_X86_WRMSR. User space answers in `error` and, for a read, `data`. */
export const runMsr = layout(
  'struct kvm_run',
  24,
  { error: u8(0), reason: u32(8), index: u32(12), data: u64(16) },
  'msr',
);

/** The guest read or wrote an MSR that user space handles (`vm.enableUserSpaceMsr`). */
export interface MsrExit<N extends 'KVM_EXIT_X86_RDMSR' | 'KVM_EXIT_X86_WRMSR'> extends Named<N> {
  /** Where user space answers: not 0 is a #GP for the guest. `vcpu.failMsr` writes it. */
  error: number;
  /** KVM_MSR_EXIT_REASON_* bits: INVAL 1, UNKNOWN 2, FILTER 4. */
  msrReason: number;
  /** The number of the MSR. */
  index: number;
  /** What the guest writes; of a read, where user space answers: `vcpu.completeRdmsr`. */
  data: bigint;
}
export type MsrExits = MsrExit<'KVM_EXIT_X86_RDMSR'> | MsrExit<'KVM_EXIT_X86_WRMSR'>;

const { reason: msrReason, error, index, data } = fieldChecks(runMsr);
const fields = { error, msrReason, index, data };

export const msrExits: Kinds<MsrExits> = {
  KVM_EXIT_X86_RDMSR: {
    fields,
    decode(view, reason) {
      const { error, reason: msrReason, index, data } = runMsr.read(view, RUN_UNION_OFFSET);
      return { name: 'KVM_EXIT_X86_RDMSR', reason, error, msrReason, index, data };
    },
    text: ({ index, msrReason }) => `the guest read MSR ${hex(index)} (reason bits ${hex(msrReason)})`,
    goesOnByItself: false,
  },
  KVM_EXIT_X86_WRMSR: {
    fields,
    decode(view, reason) {
      const { error, reason: msrReason, index, data } = runMsr.read(view, RUN_UNION_OFFSET);
      return { name: 'KVM_EXIT_X86_WRMSR', reason, error, msrReason, index, data };
    },
    text: ({ index, data, msrReason }) =>
      `the guest wrote MSR ${hex(index)} = ${hex(data)} (reason bits ${hex(msrReason)})`,
    goesOnByItself: true,
  },
};
