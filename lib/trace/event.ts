/** What a trace is made of: each exit of a machine's vCPUs, and each act of its host, as data. */
import type { Exit } from '../exit/exit.ts';
import type { GuestFault } from '../guest/fault.ts';
import type { GuestWord } from '../guest/protocol.ts';
import type { VmAct } from '../kvm/vm/acts.ts';

/** An event's place in a trace. */
export interface Stamp {
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
export interface TraceExit extends Stamp {
  /** vcpu_id. */
  readonly vcpu: number;
  /** RIP when the exit was taken. */
  readonly rip: bigint;
  readonly exit: Exit;
  /** What the guest said with this exit, if it is an `out` to one of `guestPorts`. */
  readonly word?: GuestWord;
  /** With the word `fault`: all of it. */
  readonly fault?: GuestFault;
}

/** An interrupt that the host has given to one vCPU, by that vCPU's ioctl. */
type VcpuAct =
  | { readonly ioctl: 'KVM_NMI'; readonly vcpu: number }
  | { readonly ioctl: 'KVM_INTERRUPT'; readonly vcpu: number; readonly vector: number };

/** An interrupt from the host, by the ioctl that gave it. `vcpu`: vcpu_id, where it concerns one vCPU. */
export type InjectionAct = { readonly act: 'injection'; readonly vcpu?: number } & (VmAct | VcpuAct);

/** A vCPU was taken out of the guest, and went in again. */
export interface Kick {
  readonly act: 'kick';
  readonly ioctl?: undefined;
  readonly vcpu: number;
}

/** Something that the script did to the machine. */
export type Act = InjectionAct | Kick;

/** An act in its place in a trace. */
export type TraceAct = Stamp & Act & { /** In words. */ readonly detail: string };

export type TraceEvent = TraceExit | TraceAct;

export function isExit(event: TraceEvent): event is TraceExit {
  return 'exit' in event;
}
