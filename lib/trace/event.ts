import { describeExit, type Exit, exitToJson } from '../exit/decode.ts';
import { describeFault, type GuestFault } from '../guest/fault.ts';
import type { GuestWord } from '../guest/protocol.ts';

interface Stamp {
  /** Position in the machine's trace, from 0. */
  readonly seq: number;
  /** Monotonic nanoseconds since the machine was made. */
  readonly ns: number;
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

/** Something that the script did to the machine. */
export interface TraceAct extends Stamp {
  /** `injection`: an interrupt from the host. `kick`: a vCPU was taken out of the guest. */
  readonly act: 'injection' | 'kick';
  /** The ioctl that did it, such as KVM_SIGNAL_MSI; none for a kick. */
  readonly ioctl?: string;
  /** vcpu_id, where it concerns one vCPU. */
  readonly vcpu?: number;
  /** In words. */
  readonly detail: string;
}

/** An act that has no place in a trace yet. */
export type NewAct = Omit<TraceAct, keyof Stamp>;

export type TraceEvent = TraceExit | TraceAct;

export function isExit(event: TraceEvent): event is TraceExit {
  return 'exit' in event;
}

/** One event of a trace as `kvm-dsm run --json` has it: numbers of 64 bits in hexadecimal, bytes likewise. */
export function eventToJson(event: TraceEvent): Record<string, unknown> {
  if (!isExit(event)) return { type: 'act', ...event };
  const { seq, ns, vcpu, rip, exit, word, fault } = event;
  return {
    type: 'exit',
    seq,
    ns,
    vcpu,
    ...exitToJson(exit),
    rip: hex(rip),
    ...(word && { word }),
    ...(fault && { fault: faultToJson(fault) }),
  };
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

function faultToJson(fault: GuestFault): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fault).map(([name, value]) => [name, typeof value === 'bigint' ? hex(value) : value]),
  );
}

/** One event of a trace in words. */
export function describeEvent(event: TraceEvent): string {
  if (!isExit(event)) {
    const who = event.vcpu === undefined ? '' : ` vCPU ${event.vcpu}`;
    return `#${event.seq}${who} ${event.act}  ${event.ioctl === undefined ? '' : `${event.ioctl} `}${event.detail}`;
  }
  const what = event.word ? describeWord(event.word, event.fault) : describeExit(event.exit);
  return `#${event.seq} vCPU ${event.vcpu} rip 0x${event.rip.toString(16)}  ${what}`;
}

function describeWord(word: GuestWord, fault: GuestFault | undefined): string {
  switch (word.kind) {
    case 'sync':
      return `sync ${JSON.stringify(word.name)}`;
    case 'value':
      return `value ${JSON.stringify(word.name)} = 0x${word.value.toString(16)}`;
    case 'done':
      return 'done';
    case 'assert':
      return `assertion failed: ${word.text}, got 0x${word.actual.toString(16)}`;
    case 'fault':
      return `fault ${fault ? describeFault(fault) : `vector 0x${word.vector.toString(16)}`}`;
  }
}
