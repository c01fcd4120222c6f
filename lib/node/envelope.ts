/**
 * The wire format: one JSON text a message, version 1. Nothing of it is used before all of it was checked: who it is from, which
 * machine it is about, every field's type and range.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { checkText } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { integer, listOf, oneOf, optional, shape, text, type ValueCheck } from '../base/shape.ts';
import { hex } from '../base/text.ts';

/** What of a vCPU's local APIC says whom an IPI reaches: as in its APIC page, and IA32_APIC_BASE. */
export interface KnownApic {
  readonly apicBase: bigint;
  readonly id: number;
  readonly ldr: number;
  readonly dfr: number;
  readonly svr: number;
}

/** Of lowest priority, where KVM has left the choice to the sender's node: the vcpu_id of the one that takes it. */
type Taken = { readonly taker?: number };

/** A write of the xAPIC's ICR, and what ICR2 was then. */
export type IcrItem = { readonly is: 'icr'; readonly icr2: number; readonly icr: number } & Taken;
/** A write of the x2APIC's ICR. */
export type X2IcrItem = { readonly is: 'x2icr'; readonly data: bigint } & Taken;
/** A paravirtual IPI: the fields of KVM_EXIT_DSM_PV_IPI. */
export type PvItem = {
  readonly is: 'pv';
  readonly icr: number;
  readonly type: number;
  readonly base: number;
  readonly mask: readonly bigint[];
} & Taken;
/** The source's local APIC has become like this. */
export type ApicItem = { readonly is: 'apic'; readonly version: number } & KnownApic;

/** What a vCPU has sent. */
export type SentItem = IcrItem | X2IcrItem | PvItem;
export type ToldItem = SentItem | ApicItem;

/** What one vCPU's node tells other nodes of it. */
export type NodeItem = ToldItem & {
  /** CLOCK_MONOTONIC in ns of its node when the guest had written. */
  readonly ns: number;
  /** By vcpu_id: what version of each local APIC the sender knew. It takes effect after all of these. */
  readonly after?: readonly number[];
};

/** Whom a message is for: the run of the node that it means, and the item's number among those to that node. */
export interface Addressee {
  readonly node: number;
  readonly to: string;
  readonly seq: number;
}

export interface Acknowledgement {
  readonly source: number;
  readonly upTo: number;
}

/** What it is, beside whom it is from. */
export type Content =
  | { readonly kind: 'ask'; readonly node: number; readonly nonce: number }
  | { readonly kind: 'answer'; readonly node: number; readonly to: string; readonly nonce: number }
  | { readonly kind: 'data'; readonly source: number; readonly for: readonly Addressee[]; readonly item: NodeItem }
  | { readonly kind: 'acks'; readonly node: number; readonly to: string; readonly acks: readonly Acknowledgement[] };

/** `epoch`: the run of the node that has sent it. */
export type Envelope = { readonly from: number; readonly epoch: string } & Content;

/** Why a message was not taken, as it counts them. */
export type EnvelopeRefusal = 'size' | 'text' | 'version' | 'foreign' | 'malformed' | 'forged';

/** What a node knows of all messages that are its machine's. */
export interface Membership {
  /** The machine's name: another's messages are foreign. */
  readonly machine: string;
  /** This node. */
  readonly node: number;
  /** By vcpu_id: the node that runs it. */
  readonly homes: readonly number[];
  readonly nodes: number;
  /** Known to the nodes alone: a message without its HMAC is forged. */
  readonly key?: string;
}

export const WIRE_VERSION = 1;

/** Several times what any message takes. */
export const LONGEST_MESSAGE = 16_384;
export const MAX_NODES = 64;
export const MAX_VCPUS = 64;
const MAX_EPOCH = 64;

const u32 = integer(0, 0xffff_ffff);
const count = integer(0, Number.MAX_SAFE_INTEGER);
const node = integer(0, MAX_NODES - 1);
const source = integer(0, MAX_VCPUS - 1);

/** A number of 64 bits in hexadecimal. */
const hex64: ValueCheck<bigint> = (argument, value) => {
  if (typeof value === 'string' && /^0x[0-9a-f]{1,16}$/.test(value)) return BigInt(value);
  throw new ArgumentError(argument, `${argument} is no number in hexadecimal`, 'Give 0x and 1 to 16 digits.');
};

const epoch: ValueCheck<string> = (argument, value) => {
  if (/^[\w-]{1,64}$/.test(checkText(argument, value as string))) return value as string;
  throw new ArgumentError(
    argument,
    `${argument} is no epoch`,
    `Give letters, digits and dashes, ${MAX_EPOCH} at most.`,
  );
};

const always = { ns: count, after: optional(listOf(count, MAX_VCPUS)) };
const sent = { ...always, taker: optional(source) };

const items = {
  icr: shape<NodeItem & IcrItem>('an ICR write has', { is: oneOf(['icr']), icr2: u32, icr: u32, ...sent }),
  x2icr: shape<NodeItem & X2IcrItem>('an x2APIC ICR write has', { is: oneOf(['x2icr']), data: hex64, ...sent }),
  pv: shape<NodeItem & PvItem>('a paravirtual IPI has', {
    is: oneOf(['pv']),
    icr: u32,
    type: integer(0, 4),
    base: u32,
    mask: listOf(hex64, 2),
    ...sent,
  }),
  apic: shape<NodeItem & ApicItem>('a local APIC has', {
    is: oneOf(['apic']),
    version: integer(1, Number.MAX_SAFE_INTEGER),
    apicBase: hex64,
    id: u32,
    ldr: u32,
    dfr: u32,
    svr: u32,
    ...always,
  }),
};

const item: ValueCheck<NodeItem> = (argument, value) => checkOf(items, 'is', argument, value)(argument, value);

type Wire<K extends Content['kind']> = Extract<Envelope, { kind: K }> & { readonly v: number; readonly vm: string };

const always2 = { v: oneOf([WIRE_VERSION]), vm: text, from: node, epoch };
const addressee = shape<Addressee>('an addressee has', { node, to: epoch, seq: integer(1, Number.MAX_SAFE_INTEGER) });
const acknowledgement = shape<Acknowledgement>('an acknowledgement has', { source, upTo: count });

const kinds = {
  ask: shape<Wire<'ask'>>('a question has', { ...always2, kind: oneOf(['ask']), node, nonce: count }),
  answer: shape<Wire<'answer'>>('an answer has', {
    ...always2,
    kind: oneOf(['answer']),
    node,
    to: epoch,
    nonce: count,
  }),
  data: shape<Wire<'data'>>('data has', {
    ...always2,
    kind: oneOf(['data']),
    source,
    for: listOf(addressee, MAX_NODES),
    item,
  }),
  acks: shape<Wire<'acks'>>('acknowledgements have', {
    ...always2,
    kind: oneOf(['acks']),
    node,
    to: epoch,
    acks: listOf(acknowledgement, MAX_VCPUS),
  }),
};

/** The check that a field of an object names. */
function checkOf<C extends object>(checks: C, field: string, argument: string, value: unknown): C[keyof C] {
  const name = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined;
  if (typeof name === 'string' && Object.hasOwn(checks, name)) return checks[name as keyof C];
  const known = Object.keys(checks).join(', ');
  throw new ArgumentError(`${argument}.${field}`, `${argument} is of no known kind`, `Give one of ${known}.`);
}

/** 32 bytes in hexadecimal. */
const MAC_LENGTH = 64;

function macOf(key: string, body: string): string {
  return createHmac('sha256', key).update(body).digest('hex');
}

/** With its numbers of 64 bits in hexadecimal. JSON.stringify() would ask a replacer for each member of a message. */
function wireOf(told: NodeItem): object {
  if (told.is === 'x2icr') return { ...told, data: hex(told.data) };
  if (told.is === 'pv') return { ...told, mask: told.mask.map((word) => hex(word)) };
  return told.is === 'apic' ? { ...told, apicBase: hex(told.apicBase) } : told;
}

/** The bytes of a message. */
export function encodeMessage({ machine, key }: Membership, message: Envelope): Uint8Array {
  const content = message.kind === 'data' ? { ...message, item: wireOf(message.item) } : message;
  const body = JSON.stringify({ v: WIRE_VERSION, vm: machine, ...content });
  return Buffer.from(key === undefined ? body : macOf(key, body) + body);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The message, or why it is none that this node takes. */
export function decodeMessage(member: Membership, bytes: Uint8Array): Envelope | EnvelopeRefusal {
  if (bytes.length > LONGEST_MESSAGE) return 'size';
  let body: string;
  try {
    body = utf8.decode(bytes);
  } catch {
    return 'text';
  }
  if (member.key !== undefined) {
    const mac = Buffer.from(body.slice(0, MAC_LENGTH));
    body = body.slice(MAC_LENGTH);
    const own = Buffer.from(macOf(member.key, body));
    if (mac.length !== own.length || !timingSafeEqual(mac, own)) return 'forged';
  }
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return 'text';
  }
  if (typeof value !== 'object' || value === null || !('v' in value) || !('vm' in value)) return 'malformed';
  if (value.v !== WIRE_VERSION) return 'version';
  if (value.vm !== member.machine) return 'foreign';
  let message: Envelope;
  try {
    message = checkOf(kinds, 'kind', 'message', value).take(value, 'message');
  } catch (error) {
    if (error instanceof ArgumentError) return 'malformed';
    throw error;
  }
  return isForged(member, message) ? 'forged' : message;
}

/** Whether it says of somebody what he cannot have sent. */
function isForged({ node: own, nodes, homes }: Membership, message: Envelope): boolean {
  const { from } = message;
  if (from >= nodes || from === own) return true;
  if (message.kind === 'data') {
    const { source: sender, for: whom, item: what } = message;
    if (homes[sender] !== from) return true;
    if (whom.some(({ node: one }) => one >= nodes)) return true;
    if (what.is !== 'apic' && what.taker !== undefined && homes[what.taker] !== own) return true;
    return what.after !== undefined && what.after.length !== homes.length;
  }
  return message.kind === 'acks' && message.acks.some(({ source: sender }) => homes[sender] !== own);
}
