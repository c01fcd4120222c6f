/** Hyper-V's interface: its SynIC, its hypercalls, its synthetic debugger. */
import { KVM_EXIT_HYPERV_HCALL, KVM_EXIT_HYPERV_SYNDBG, KVM_EXIT_HYPERV_SYNIC } from '../abi/kvm/exit-reason.ts';
import { copyUnion, RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { array, fieldChecks, layout, structCheck, u32, u64 } from '../abi/layout.ts';
import { orNull } from '../base/shape.ts';
import { hex } from '../base/text.ts';
import { type Kinds, type Named, rawField, type WithRaw } from './family.ts';
import { dataWords } from './words.ts';

/** KVM_EXIT_HYPERV; one of the three below follows `type`. */
export const runHyperv = layout('struct kvm_run', 56, { type: u32(0) }, 'hyperv');

/** Where hyperv.u starts in the union, in bytes. */
export const HYPERV_BODY_OFFSET = 8;

/** KVM_EXIT_HYPERV_SYNIC: its place in the union is HYPERV_BODY_OFFSET. */
export const runHypervSynic = layout(
  'struct kvm_run',
  32,
  { msr: u32(0), control: u64(8), evtPage: u64(16), msgPage: u64(24) },
  'hyperv.u.synic',
);

/** KVM_EXIT_HYPERV_HCALL. */
export const runHypervHcall = layout(
  'struct kvm_run',
  32,
  { input: u64(0), result: u64(8), params: array(u64, 16, 2) },
  'hyperv.u.hcall',
);

/** KVM_EXIT_HYPERV_SYNDBG. */
export const runHypervSyndbg = layout(
  'struct kvm_run',
  48,
  { msr: u32(0), control: u64(8), status: u64(16), sendPage: u64(24), recvPage: u64(32), pendingPage: u64(40) },
  'hyperv.u.syndbg',
);

/**
 * A guest of Hyper-V's interface changed its SynIC, made a hypercall, or used the synthetic debugger: one of the three is set, by
 * `type`. Sources: Documentation/virt/kvm/api.rst, KVM_EXIT_HYPERV; Hyper-V TLFS.
 */
export interface HypervExit extends Named<'KVM_EXIT_HYPERV'>, WithRaw {
  /** KVM_EXIT_HYPERV_*: 1 SYNIC, 2 HCALL, 3 SYNDBG. */
  type: number;
  /** Of type 1, otherwise `null`: the guest wrote SCONTROL, SIEFP or SIMP. */
  synic: {
    /** The MSR that it wrote, of `hypervMsrs`. */
    msr: number;
    /** SCONTROL now: bit 0 enables the SynIC. */
    control: bigint;
    /** SIEFP now: bit 0 enables the event flags page, bits 63:12 are its page. */
    evtPage: bigint;
    /** SIMP now: likewise the message page. */
    msgPage: bigint;
  } | null;
  /** Of type 2, otherwise `null`: `vcpu.completeHypervHcall` answers it. */
  hcall: {
    /** The hypercall's input value: its code in bits 15:0. */
    input: bigint;
    /** Where user space answers: bits 15:0 are the status, 0 for success. */
    result: bigint;
    /** Two: the guest physical addresses of input and output, or of a fast hypercall the input itself. */
    params: bigint[];
  } | null;
  /** Of type 3, otherwise `null`: `vcpu.completeHypervSyndbg` answers it. */
  syndbg: {
    /** The MSR that it wrote: the debugger's control, or where its pending page is. */
    msr: number;
    /** The control MSR now: what is to be done. */
    control: bigint;
    /** Where user space answers: what the status MSR reads then. */
    status: bigint;
    /** Guest physical address of what is to be sent. */
    sendPage: bigint;
    /** Guest physical address of the room for what is received. */
    recvPage: bigint;
    /** Guest physical address of the byte that says that something waits. */
    pendingPage: bigint;
  } | null;
}

export const hypervExits: Kinds<HypervExit> = {
  KVM_EXIT_HYPERV: {
    fields: {
      ...fieldChecks(runHyperv),
      synic: orNull(structCheck('synic has', runHypervSynic)),
      hcall: orNull(structCheck('hcall has', runHypervHcall)),
      syndbg: orNull(structCheck('syndbg has', runHypervSyndbg)),
      raw: rawField,
    },
    decode(view, reason) {
      const { type } = runHyperv.read(view, RUN_UNION_OFFSET);
      const body = RUN_UNION_OFFSET + HYPERV_BODY_OFFSET;
      return {
        name: 'KVM_EXIT_HYPERV',
        reason,
        type,
        synic: type === KVM_EXIT_HYPERV_SYNIC ? runHypervSynic.read(view, body) : null,
        hcall: type === KVM_EXIT_HYPERV_HCALL ? runHypervHcall.read(view, body) : null,
        syndbg: type === KVM_EXIT_HYPERV_SYNDBG ? runHypervSyndbg.read(view, body) : null,
        raw: copyUnion(view),
      };
    },
    text({ type, synic, hcall, syndbg }) {
      if (synic) return `SynIC MSR ${hex(synic.msr)}, SCONTROL ${hex(synic.control)}`;
      if (hcall) return `hypercall ${hex(hcall.input)}${dataWords(hcall.params)}`;
      if (syndbg) return `synthetic debugger MSR ${hex(syndbg.msr)}`;
      return `type ${type}`;
    },
    // But for a hypercall, which waits for its result: the thread asks for the type.
    goesOnByItself: true,
  },
};
