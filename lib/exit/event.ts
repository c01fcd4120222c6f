/** What KVM tells of the guest, or of its interrupt controllers, outside of any device. */
import {
  KVM_NOTIFY_CONTEXT_INVALID,
  type SystemEventName,
  systemEventName,
  systemEvents,
} from '../abi/kvm/exit-reason.ts';
import { copyUnion, RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { array, fieldChecks, layout, u8, u32, u64 } from '../abi/layout.ts';
import { boolean, oneOf, orNull, u64Bigint } from '../base/shape.ts';
import { hex } from '../base/text.ts';
import { type Kinds, type Named, rawField, type WithRaw, wordsField } from './family.ts';
import { dataWords } from './words.ts';

/** KVM_EXIT_TPR_ACCESS. */
export const runTprAccess = layout('struct kvm_run', 16, { rip: u64(0), isWrite: u32(8) }, 'tpr_access');

/** KVM_EXIT_SYSTEM_EVENT. `ndata` of the 16 `data` words are valid. */
export const runSystemEvent = layout(
  'struct kvm_run',
  136,
  { type: u32(0), ndata: u32(4), data: array(u64, 8, 16) },
  'system_event',
);

/** KVM_EXIT_IOAPIC_EOI. */
export const runEoi = layout('struct kvm_run', 1, { vector: u8(0) }, 'eoi');

/** KVM_EXIT_NOTIFY. */
export const runNotify = layout('struct kvm_run', 4, { flags: u32(0) }, 'notify');

/** The guest changed CR8, on a VM without in-kernel LAPIC. */
export interface SetTprExit extends Named<'KVM_EXIT_SET_TPR'> {
  /** What it wrote: the TPR's priority class, 0 to 15. */
  cr8: bigint;
}

/** The guest touched the TPR (KVM_TPR_ACCESS_REPORTING). */
export interface TprAccessExit extends Named<'KVM_EXIT_TPR_ACCESS'> {
  /** Of the instruction. */
  rip: bigint;
  /** True: a write; false: a read. */
  isWrite: boolean;
}

/** The guest wants to shut down, to reset...: `typeName` says. */
export interface SystemEventExit extends Named<'KVM_EXIT_SYSTEM_EVENT'>, WithRaw {
  /** KVM_SYSTEM_EVENT_*: 1 SHUTDOWN, 2 RESET, 3 CRASH, ... */
  type: number;
  /** The kernel's name of `type`; `null` if this package knows none. */
  typeName: SystemEventName | null;
  /** How many words of `data` the kernel has filled, as it says: 0 to 16 of a kernel that is right. */
  ndata: number;
  /** The first `ndata` of 16 words. */
  data: bigint[];
}

/** The guest ended a level-triggered interrupt of the split irqchip's IOAPIC. */
export interface IoapicEoiExit extends Named<'KVM_EXIT_IOAPIC_EOI'> {
  /** Of the interrupt, 0 to 255. */
  vector: number;
}

/** The guest let no event window open for too long (KVM_CAP_X86_NOTIFY_VMEXIT). */
export interface NotifyExit extends Named<'KVM_EXIT_NOTIFY'> {
  /** KVM_NOTIFY_CONTEXT_INVALID (1): the vCPU's context is corrupt, it cannot run on. */
  flags: number;
}

export type EventExits = SetTprExit | TprAccessExit | SystemEventExit | IoapicEoiExit | NotifyExit;

export const eventExits: Kinds<EventExits> = {
  KVM_EXIT_SET_TPR: {
    fields: { cr8: u64Bigint },
    // In the head of kvm_run.
    decode: (view, reason) => ({ name: 'KVM_EXIT_SET_TPR', reason, cr8: view.getBigUint64(16, true) }),
    text: ({ cr8 }) => `the guest set CR8 to ${hex(cr8)}`,
    // It would; but a record keeps the union alone, where its payload is not.
    goesOnByItself: false,
  },
  KVM_EXIT_TPR_ACCESS: {
    fields: { rip: u64Bigint, isWrite: boolean },
    decode(view, reason) {
      const { rip, isWrite } = runTprAccess.read(view, RUN_UNION_OFFSET);
      return { name: 'KVM_EXIT_TPR_ACCESS', reason, rip, isWrite: isWrite !== 0 };
    },
    text: ({ isWrite, rip }) => `the guest ${isWrite ? 'wrote' : 'read'} the TPR at ${hex(rip)}`,
    goesOnByItself: true,
  },
  KVM_EXIT_SYSTEM_EVENT: {
    fields: {
      ...fieldChecks(runSystemEvent),
      typeName: orNull(oneOf(Object.keys(systemEvents) as SystemEventName[])),
      data: wordsField(16),
      raw: rawField,
    },
    decode(view, reason) {
      const { type, ndata, data } = runSystemEvent.read(view, RUN_UNION_OFFSET);
      const typeName = systemEventName(type) ?? null;
      const raw = copyUnion(view);
      return { name: 'KVM_EXIT_SYSTEM_EVENT', reason, type, typeName, ndata, data: data.slice(0, ndata), raw };
    },
    text: ({ type, typeName, data }) => `${typeName ?? `type ${type}`}${dataWords(data)}`,
    goesOnByItself: true,
  },
  KVM_EXIT_IOAPIC_EOI: {
    fields: fieldChecks(runEoi),
    decode: (view, reason) => ({ name: 'KVM_EXIT_IOAPIC_EOI', reason, ...runEoi.read(view, RUN_UNION_OFFSET) }),
    text: ({ vector }) => `EOI of vector ${hex(vector)}`,
    goesOnByItself: true,
  },
  KVM_EXIT_NOTIFY: {
    fields: fieldChecks(runNotify),
    decode: (view, reason) => ({ name: 'KVM_EXIT_NOTIFY', reason, ...runNotify.read(view, RUN_UNION_OFFSET) }),
    text: ({ flags }) => `no event window${flags & KVM_NOTIFY_CONTEXT_INVALID ? ', and the context is invalid' : ''}`,
    goesOnByItself: true,
  },
};
