/**
 * Hyper-V's connections: what a guest posts or signals at one becomes a message or an event flag of a SINT, as QEMU's test device
 * has it. KVM leaves both hypercalls to user space where it knows no such connection. Source: TLFS, 11 "Inter-partition
 * communication" and appendix A; QEMU, hw/hyperv/hyperv.c.
 */
import { MESSAGE_PAYLOAD, type SynicMessage } from '../../abi/hyperv.ts';
import { type LayoutValue, layout, u32 } from '../../abi/layout.ts';
import { ClosedError } from '../../base/errors.ts';
import type { HypervExit } from '../../exit/hyperv.ts';
import type { SintLine } from '../../hyperv/sint-line.ts';
import type { GuestMemory } from '../../kvm/guest-memory.ts';

const HVCALL_POST_MESSAGE = 0x5cn;
const HVCALL_SIGNAL_EVENT = 0x5dn;
/** Bit 16 of a hypercall's input: its parameters are in registers. */
const FAST = 0x1_0000n;
const CONNECTION_ID = 0xff_ffffn;
const FLAG_NUMBER = 0xffff_0000_0000n;

/** What a hypercall answers. */
const status = {
  success: 0n,
  invalidCode: 2n,
  invalidInput: 3n,
  invalidAlignment: 4n,
  invalidParameter: 5n,
  invalidPortId: 0x11n,
  invalidConnectionId: 0x12n,
  insufficientBuffers: 0x13n,
  invalidVpState: 0x15n,
} as const;

/** HV_INPUT_POST_MESSAGE without its payload. */
const postMessage = layout('struct hv_input_post_message', 16, {
  connectionId: u32(0),
  messageType: u32(8),
  payloadSize: u32(12),
});

/** A connection for messages: one message may wait for its slot. */
interface MessageConnection {
  line: SintLine;
  waiting: Promise<void> | null;
}

export class HypervConnections {
  readonly #memory: GuestMemory;
  /** How long a message may wait for its slot, in ms. */
  readonly #limit: number;
  readonly #messages = new Map<bigint, MessageConnection>();
  readonly #events = new Map<bigint, SintLine>();
  readonly #waits = new Set<Promise<void>>();
  /** What went wrong behind a hypercall's back. */
  readonly #failed: (why: string) => void;

  constructor(memory: GuestMemory, limit: number, failed: (why: string) => void) {
    this.#memory = memory;
    this.#limit = limit;
    this.#failed = failed;
  }

  /** False if there is one of that number. */
  connectMessages(id: number, line: () => SintLine): boolean {
    if (this.#messages.has(BigInt(id))) return false;
    this.#messages.set(BigInt(id), { line: line(), waiting: null });
    return true;
  }

  /** False if there is one of that number. */
  connectEvents(id: number, line: () => SintLine): boolean {
    if (this.#events.has(BigInt(id))) return false;
    this.#events.set(BigInt(id), line());
    return true;
  }

  /** A message that waits for its slot is given up. False if there is none. */
  disconnectMessages(id: number): boolean {
    this.#messages.get(BigInt(id))?.line.close();
    return this.#messages.delete(BigInt(id));
  }

  disconnectEvents(id: number): boolean {
    this.#events.get(BigInt(id))?.close();
    return this.#events.delete(BigInt(id));
  }

  /** Does what a hypercall asks for; answers its result. */
  call({ input, params }: NonNullable<HypervExit['hcall']>): bigint {
    const isFast = (input & FAST) !== 0n;
    const [first] = params as [bigint];
    switch (input & 0xffffn) {
      case HVCALL_POST_MESSAGE:
        return isFast ? status.invalidCode : this.#post(first);
      case HVCALL_SIGNAL_EVENT:
        return isFast ? this.#signal(first) : this.#signalAt(first);
      default:
        return status.invalidCode;
    }
  }

  #post(address: bigint): bigint {
    if (address % 8n !== 0n) return status.invalidAlignment;
    const bytes = this.#read(address, postMessage.size);
    if (bytes === null) return status.invalidInput;
    const { connectionId, messageType, payloadSize }: LayoutValue<typeof postMessage> = postMessage.decode(bytes);
    if (payloadSize > MESSAGE_PAYLOAD) return status.invalidInput;
    const payload = this.#read(address + BigInt(postMessage.size), payloadSize);
    if (payload === null) return status.invalidInput;
    // A slot of type 0 is free.
    if (messageType === 0) return status.invalidParameter;
    const connection = this.#messages.get(BigInt(connectionId) & CONNECTION_ID);
    if (!connection) return status.invalidConnectionId;
    return this.#send(connection, { type: messageType, payload });
  }

  #send(connection: MessageConnection, message: SynicMessage): bigint {
    const { line } = connection;
    if (connection.waiting) return status.insufficientBuffers;
    const posted = line.post(message);
    if (posted === 'disabled') return status.invalidVpState;
    if (posted === 'posted') return status.success;
    if (line.acknowledged === null) return status.insufficientBuffers;
    const waiting = line
      .deliver(message, this.#limit)
      .catch((error: Error) => {
        if (!(error instanceof ClosedError)) this.#failed(error.message);
      })
      .finally(() => {
        connection.waiting = null;
        this.#waits.delete(waiting);
      });
    connection.waiting = waiting;
    this.#waits.add(waiting);
    return status.success;
  }

  #signalAt(address: bigint): bigint {
    if (address % 8n !== 0n) return status.invalidAlignment;
    const bytes = this.#read(address, 8);
    if (bytes === null) return status.invalidInput;
    return this.#signal(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  }

  #signal(param: bigint): bigint {
    if (param & FLAG_NUMBER) return status.invalidPortId;
    if (param & ~CONNECTION_ID) return status.invalidInput;
    const line = this.#events.get(param);
    if (!line) return status.invalidConnectionId;
    // The flag has the connection's number.
    return line.raise(Number(param)) === 'disabled' ? status.invalidVpState : status.success;
  }

  /** Copied: the guest may write there meanwhile. `null`: no memory is there. */
  #read(address: bigint, length: number): Uint8Array<ArrayBuffer> | null {
    if (address + BigInt(length) > BigInt(this.#memory.size)) return null;
    return Uint8Array.from(this.#memory.read(Number(address), length));
  }

  async close(): Promise<void> {
    for (const { line } of this.#messages.values()) line.close();
    for (const line of this.#events.values()) line.close();
    await Promise.all(this.#waits);
  }
}
