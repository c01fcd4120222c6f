/** Events as the addon has stored them: made into objects here, or sent to another process and made there. */
import type { DsmProfile } from '../abi/dsm/profiles.ts';
import { nameOf, readWord } from '../guest/protocol.ts';
import {
  messageAt,
  nsAt,
  RECORD_BYTES,
  RecordDecoder,
  rcxAt,
  ripAt,
  stateAt,
  vcpuAt,
} from '../kvm/vcpu/run/log-record.ts';
import { injection, traceAct } from './act.ts';
import type { TraceEvent } from './event.ts';

/** Some events of a machine that follow each other, none of which anybody has had to look at. */
export interface StoredEvents {
  /** The first one's place. */
  readonly seq: number;
  readonly count: number;
  /** When the machine was made: CLOCK_MONOTONIC in nanoseconds. */
  readonly born: number;
  /** By vcpu_id the node that runs it, of a machine with several. */
  readonly homes?: readonly number[] | undefined;
  readonly profile: DsmProfile;
  /** Their records: a copy. */
  readonly bytes: Uint8Array;
}

/** Whose record it is, and what its numbers stand for. */
export interface RecordOf {
  seq: number;
  born: number;
  homes?: readonly number[] | undefined;
  /** What the guest means by a number. Default: what this process' scripts mean by it. */
  named?: (number: number) => string | number;
}

/** The event of a record. */
export function eventAt(
  view: DataView,
  at: number,
  decoder: RecordDecoder,
  { seq, born, homes, named = nameOf }: RecordOf,
): TraceEvent {
  const ns = nsAt(view, at) - born;
  if (stateAt(view, at) === 'message') return traceAct({ seq, ns }, injection(messageAt(view, at)));
  const exit = decoder.exitAt(view, at);
  const word = readWord(exit, () => rcxAt(view, at), named);
  const vcpu = vcpuAt(view, at);
  const node = homes?.[vcpu];
  const event = { seq, ns, ...(node !== undefined && { node }), vcpu, rip: ripAt(view, at), exit };
  return word ? { ...event, word } : event;
}

/** How many of them are exits, and how many of these forward an IPI, or a half of one. */
export function countStored({ bytes, profile }: StoredEvents): { exits: number; forwarded: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new RecordDecoder(profile);
  let exits = 0;
  let forwarded = 0;
  for (let at = 0; at < bytes.length; at += RECORD_BYTES) {
    if (stateAt(view, at) === 'message') continue;
    exits += 1;
    if (decoder.forwardsAt(view, at)) forwarded += 1;
  }
  return { exits, forwarded };
}

/** Makes the events of records that stand one behind the other. */
export function* eventsIn(
  bytes: Uint8Array,
  decoder: RecordDecoder,
  { seq, born, homes, named }: RecordOf,
): Generator<TraceEvent> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const more = named === undefined ? {} : { named };
  for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES)
    yield eventAt(view, at, decoder, { seq: seq + at / RECORD_BYTES, born, homes, ...more });
}
