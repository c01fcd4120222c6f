/** Hypercalls that user space handles: KVM's own, and Xen's. */
import { KVM_EXIT_XEN_HCALL } from '../abi/kvm/exit-reason.ts';
import { copyUnion, RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { array, fieldChecks, layout, structCheck, u32, u64 } from '../abi/layout.ts';
import { orNull } from '../base/shape.ts';
import { hex } from '../base/text.ts';
import { type Kinds, type Named, rawField, type WithRaw } from './family.ts';
import { dataWords } from './words.ts';

/** KVM_EXIT_HYPERCALL. */
export const runHypercall = layout(
  'struct kvm_run',
  72,
  { nr: u64(0), args: array(u64, 8, 6), ret: u64(56), flags: u64(64) },
  'hypercall',
);

/** KVM_EXIT_XEN; the hypercall follows `type`. */
export const runXen = layout('struct kvm_run', 80, { type: u32(0) }, 'xen');

/** Where xen.u starts in the union, in bytes. */
export const XEN_BODY_OFFSET = 8;

/** KVM_EXIT_XEN_HCALL: its place in the union is XEN_BODY_OFFSET. */
export const runXenHcall = layout(
  'struct kvm_run',
  72,
  { longmode: u32(0), cpl: u32(4), input: u64(8), result: u64(16), params: array(u64, 24, 6) },
  'xen.u.hcall',
);

/** A hypercall that user space handles (KVM_CAP_EXIT_HYPERCALL). */
export interface HypercallExit extends Named<'KVM_EXIT_HYPERCALL'> {
  /** KVM_HC_*: 12 is KVM_HC_MAP_GPA_RANGE. */
  nr: bigint;
  /** Six. */
  args: bigint[];
  /** Where user space answers. */
  ret: bigint;
  /** KVM_EXIT_HYPERCALL_LONG_MODE (bit 0): the guest was in 64-bit mode. */
  flags: bigint;
}

/** A guest of Xen's interface (KVM_CAP_XEN_HVM) made a hypercall. */
export interface XenExit extends Named<'KVM_EXIT_XEN'>, WithRaw {
  /** 1: KVM_EXIT_XEN_HCALL. */
  type: number;
  /** Of type 1; otherwise `null`. */
  hcall: {
    /** 1: the guest was in 64-bit mode. */
    longmode: number;
    /** The guest's privilege level, 0 to 3. */
    cpl: number;
    /** The number of the hypercall. */
    input: bigint;
    /** Where user space answers. */
    result: bigint;
    /** Six. */
    params: bigint[];
  } | null;
}

export type HypercallExits = HypercallExit | XenExit;

export const hypercallExits: Kinds<HypercallExits> = {
  KVM_EXIT_HYPERCALL: {
    fields: fieldChecks(runHypercall),
    decode: (view, reason) => ({ name: 'KVM_EXIT_HYPERCALL', reason, ...runHypercall.read(view, RUN_UNION_OFFSET) }),
    text: ({ nr, args }) => `hypercall ${nr} (${args.map((arg) => hex(arg)).join(', ')})`,
    goesOnByItself: false,
  },
  KVM_EXIT_XEN: {
    fields: { ...fieldChecks(runXen), hcall: orNull(structCheck('hcall has', runXenHcall)), raw: rawField },
    decode(view, reason) {
      const { type } = runXen.read(view, RUN_UNION_OFFSET);
      const hcall = type === KVM_EXIT_XEN_HCALL ? runXenHcall.read(view, RUN_UNION_OFFSET + XEN_BODY_OFFSET) : null;
      return { name: 'KVM_EXIT_XEN', reason, type, hcall, raw: copyUnion(view) };
    },
    text: ({ type, hcall }) =>
      hcall === null ? `type ${type}` : `hypercall ${hex(hcall.input)} from CPL ${hcall.cpl}${dataWords(hcall.params)}`,
    goesOnByItself: false,
  },
};
