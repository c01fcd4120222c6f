/**
 * Hyper-V's synthetic interrupt controller: MSRs, the message page and the event flags page.
 * Source: Hyper-V TLFS, "Synthetic Interrupt Controller" and "Inter-Partition Communication";
 * Linux' include/hyperv/hvgdk_mini.h.
 */

import { checkU64 } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { boolean, bytes, integer, optional, shape, u64Bigint } from '../base/shape.ts';
import { hex } from '../base/text.ts';
import { array, layout, u8, u32, u64 } from './layout.ts';

/** MSRs of Hyper-V's interface that this package uses. SINT0 is the first of sixteen. */
export const hypervMsrs = {
  GUEST_OS_ID: 0x4000_0000,
  HYPERCALL: 0x4000_0001,
  VP_INDEX: 0x4000_0002,
  SCONTROL: 0x4000_0080,
  SVERSION: 0x4000_0081,
  SIEFP: 0x4000_0082,
  SIMP: 0x4000_0083,
  EOM: 0x4000_0084,
  SINT0: 0x4000_0090,
  SYNDBG_CONTROL: 0x4000_00f1,
  SYNDBG_STATUS: 0x4000_00f2,
  SYNDBG_PENDING_BUFFER: 0x4000_00f5,
} as const;

/** Synthetic interrupt sources of a vCPU. */
export const SINTS = 16;
/** Event flags of a SINT. */
export const EVENT_FLAGS = 2048;
/** Bytes of a SINT's slot in the message page, and of its flags in the event flags page. */
export const SYNIC_SLOT = 256;
/** Bytes of a message's payload at most. */
export const MESSAGE_PAYLOAD = 240;

/** Bit 0 of SCONTROL, SIEFP and SIMP. */
export const SYNIC_ENABLE = 1n;
/** A vector below this one is refused (#GP), unless the SINT is masked. */
export const FIRST_SINT_VECTOR = 16;
const SINT_MASKED = 1n << 16n;
const SINT_AUTO_EOI = 1n << 17n;

/** message_type of a free slot. */
export const HVMSG_NONE = 0;
/** message_flags: another message waits until this slot is free. */
export const MESSAGE_PENDING = 1;

/** A slot of the message page: struct hv_message. */
export const hvMessage = layout(null, SYNIC_SLOT, {
  messageType: u32(0),
  payloadSize: u8(4),
  messageFlags: u8(5),
  sender: u64(8),
  payload: array(u8, 16, MESSAGE_PAYLOAD),
});

/** A message, as it stands in a slot. */
export interface SynicMessage {
  /** message_type, 1 to 2^32-1; 0 is a free slot. Bit 31 is set in the hypervisor's own. */
  type: number;
  /** The port or partition that it comes from, 0 to 2^64-1. Default 0. */
  sender?: bigint;
  /** 0 to 240 bytes. Default none. */
  payload?: Uint8Array;
}

/** A message that was read out of a slot. */
export interface ReceivedMessage extends Required<SynicMessage> {
  /** message_flags.msg_pending: its reader has to write EOM when the slot is free. */
  pending: boolean;
}

const messageShape = shape<SynicMessage>('a message takes', {
  type: integer(1, 0xffff_ffff),
  sender: optional(u64Bigint),
  payload: optional(bytes(0, MESSAGE_PAYLOAD)),
});

/** A slot's 256 bytes. Throws ArgumentError. */
export function encodeMessage(message: SynicMessage): Uint8Array<ArrayBuffer> {
  const { type, sender = 0n, payload = new Uint8Array() } = messageShape.take(message, 'message');
  return hvMessage.encode({
    messageType: type,
    payloadSize: payload.length,
    sender,
    payload: [...payload],
  });
}

/** The message in a slot's 256 bytes; `null` if the slot is free. A size of more than 240 bytes is read as 240. */
export function decodeMessage(slot: Uint8Array): ReceivedMessage | null {
  const { messageType, payloadSize, messageFlags, sender, payload } = hvMessage.decode(slot);
  if (messageType === HVMSG_NONE) return null;
  return {
    type: messageType,
    sender,
    payload: Uint8Array.from(payload.slice(0, payloadSize)),
    pending: (messageFlags & MESSAGE_PENDING) !== 0,
  };
}

/** What SINT0 to SINT15 hold. */
export interface Sint {
  /** 0 to 255; KVM takes one below 16 of a masked SINT alone. */
  vector: number;
  /** Nothing is delivered. Default false. */
  masked?: boolean;
  /** The interrupt is over when it is delivered: no EOI. Default false. */
  autoEoi?: boolean;
}

const sintShape = shape<Sint>('a SINT takes', {
  vector: integer(0, 0xff),
  masked: optional(boolean),
  autoEoi: optional(boolean),
});

/** The value of a SINT's MSR. Throws ArgumentError. */
export function encodeSint(sint: Sint): bigint {
  const { vector, masked = false, autoEoi = false } = sintShape.take(sint, 'sint');
  return BigInt(vector) | (masked ? SINT_MASKED : 0n) | (autoEoi ? SINT_AUTO_EOI : 0n);
}

/** The fields of a SINT's MSR, 0 to 2^64-1. Throws ArgumentError. */
export function decodeSint(value: bigint): Required<Sint> {
  const bits = checkU64('value', value);
  return {
    vector: Number(bits & 0xffn),
    masked: (bits & SINT_MASKED) !== 0n,
    autoEoi: (bits & SINT_AUTO_EOI) !== 0n,
  };
}

/** The value of SIMP or SIEFP for a page that begins there. Throws ArgumentError. */
export function encodeSynicPage(address: number | bigint | null): bigint {
  if (address === null) return 0n;
  const value = checkU64('address', address);
  if (value % 0x1000n !== 0n)
    throw new ArgumentError('address', `${hex(value)} is not at the begin of a page`, 'Give a multiple of 4096.');
  return value | SYNIC_ENABLE;
}

/** Where the page of SIMP or SIEFP begins; `null` if it is disabled. */
export function decodeSynicPage(value: bigint): bigint | null {
  const bits = checkU64('value', value);
  return (bits & SYNIC_ENABLE) === 0n ? null : bits & ~0xfffn;
}
