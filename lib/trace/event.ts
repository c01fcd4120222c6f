/** What a trace is made of: each exit of a machine's vCPUs, and each act of its host, as data. */
import type { Exit } from '../exit/exit.ts';
import type { GuestFault } from '../guest/fault.ts';
import type { GuestWord } from '../guest/protocol.ts';
import type { VmAct } from '../kvm/vm/acts.ts';

/** An event's place in a trace. */
export interface TraceStamp {
  /** Position in the machine's trace, from 0: the order in which they came. */
  readonly seq: number;
  /**
   * Nanoseconds since the machine was made, by CLOCK_MONOTONIC: of an exit, when KVM_RUN returned. Of several vCPUs, one
   * may be earlier than the event before it.
   */
  readonly ns: number;
  /** Where it was, of a machine with several nodes. */
  readonly node?: number;
}

/** One exit, and when and where it came. */
export interface TraceExit extends TraceStamp {
  /** vcpu_id. */
  readonly vcpu: number;
  /** RIP when the exit was taken. */
  readonly rip: bigint;
  /** What KVM_RUN returned with. */
  readonly exit: Exit;
  /** What the guest said with this exit, if it is an `out` to one of `guestPorts`. */
  readonly word?: GuestWord;
  /** With the word `fault`: all of it. */
  readonly fault?: GuestFault;
}

/** An interrupt from the host, by the ioctl that gave it. */
export type InjectionAct = {
  /** Tells it from a kick. */
  readonly act: 'injection';
  /** vcpu_id, where it concerns one vCPU. */
  readonly vcpu?: number;
  /** vcpu_id of a vCPU whose exits are in this trace: a node has given with it to others what that vCPU has sent. */
  readonly replayOf?: number;
} & (
  | VmAct
  | {
      /** An NMI: `vcpu.nmi`. */
      readonly ioctl: 'KVM_NMI';
      /** vcpu_id of the vCPU that got it. */
      readonly vcpu: number;
    }
  | {
      /** An interrupt of a controller in user space: `vcpu.interrupt`. */
      readonly ioctl: 'KVM_INTERRUPT';
      /** vcpu_id of the vCPU that got it. */
      readonly vcpu: number;
      /** 0 to 255. */
      readonly vector: number;
    }
);

/** A vCPU was taken out of the guest, and went in again. */
export interface KickAct {
  /** Tells it from an injection. */
  readonly act: 'kick';
  /** None: no ioctl does it. */
  readonly ioctl?: undefined;
  /** vcpu_id. */
  readonly vcpu: number;
}

/** Something that the script did to the machine. */
export type Act = InjectionAct | KickAct;

/** What the script did to the machine, and when: an interrupt that it gave, or a kick. */
export type TraceAct = TraceStamp &
  (InjectionAct | KickAct) & {
    /** In words, beside its ioctl and its vCPU: `gsi 4 high`. */
    readonly detail: string;
  };

/** What a trace is made of; `isExit` tells which of the two. */
export type TraceEvent = TraceExit | TraceAct;

/** True of an exit, false of what the script did. */
export function isExit(event: TraceEvent): event is TraceExit {
  return 'exit' in event;
}
