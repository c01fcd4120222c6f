/** This node's ways to all others: `delivery.ts` over a transport, with a clock. */
import { randomBytes } from 'node:crypto';
import {
  defaultLimits,
  type Effect,
  type Frame,
  type LinkEvent,
  type LinkLimits,
  type LinkRefusal,
  type LinkState,
  newLink,
  step,
  unacknowledged,
} from './delivery.ts';
import {
  type Acknowledgement,
  type Addressee,
  type Content,
  decodeMessage,
  type Envelope,
  type EnvelopeRefusal,
  encodeMessage,
  type Membership,
  type NodeItem,
} from './envelope.ts';
import { NodeLostError, NodeQueueError, type Unacknowledged } from './errors.ts';
import { describeItem } from './forward.ts';
import { EVERYONE, subjectOf, type Transport } from './transport.ts';

/** What carries a node's items to others. */
export interface Carrier {
  /** Every node is told of everything, whomever it is for. */
  readonly everything: boolean;
  /** Takes what one of this node's vCPUs has sent to those nodes. */
  offer(source: number, item: NodeItem, nodes: readonly number[]): void;
  /** Nothing that was offered is still on its way. */
  readonly quiet: boolean;
  /** Each other node has said which run of it is there. */
  readonly acquainted: boolean;
  /** What was sent to a node and not acknowledged, in the order of each source. */
  unacknowledged(node: number): readonly Unacknowledged[];
  readonly counts: CarrierCounts;
  close(): Promise<void>;
}

/** What a node has sent, and what has come. */
export interface CarrierCounts {
  /** Messages to the transport. */
  published: number;
  /** Messages from it. */
  arrived: number;
  /** Items that were sent again. */
  resent: number;
  /** Items that came again. */
  doubled: number;
  /** By reason: messages that were not taken. */
  readonly refused: Partial<Record<EnvelopeRefusal | LinkRefusal, number>>;
}

/** Who is told of what a carrier brings. */
export interface Receiver {
  /**
   * In the order of the source, once.
   *
   * @param number its place among all that the source has sent to this node, from 1 on; a carrier that does not count gives none
   */
  deliver(source: number, item: NodeItem, number?: number): void;
  /** The transport gets it now, be it again. */
  handed?(source: number, item: NodeItem): void;
  /** A node that has no memory of what went before is there. */
  joined(node: number): void;
  /** The machine cannot go on. */
  failed(error: NodeLostError | NodeQueueError): void;
}

/** How often is looked whether something is to be sent again, in ms. */
const TICK = 10;
/**
 * How long an acknowledgement may wait, in ms: the vCPU that an interrupt has woken is what the process sees to first, and one acknowledgement is
 * for all that came meanwhile. Far less than `resend`.
 */
const ACK_DELAY = 5;
/** What lies between two looks is no longer than this for the peers: a process that has been at something else has heard nothing. */
const LONGEST_TICK = 2 * TICK;

export class Links implements Carrier {
  readonly everything = false;
  readonly #member: Membership;
  readonly #transport: Transport;
  readonly #receiver: Receiver;
  readonly #limits: LinkLimits;
  readonly #links = new Map<number, LinkState<NodeItem>>();
  readonly #epoch: string;
  readonly #timer: NodeJS.Timeout;
  readonly #refused: CarrierCounts['refused'] = {};
  #published = 0;
  #arrived = 0;
  /**
   * In ms. It goes on by the looks alone, each of which is a turn of the event loop: in one turn a process that has much to do takes what came for
   * seconds, and what a peer has answered meanwhile comes in the next.
   */
  #clock = 0;
  #looked = performance.now();
  #flushTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(member: Membership, transport: Transport, receiver: Receiver, limits: Partial<LinkLimits> = {}) {
    this.#member = member;
    this.#transport = transport;
    this.#receiver = receiver;
    this.#limits = { ...defaultLimits, ...limits };
    this.#epoch = randomBytes(9).toString('base64url');
    const now = 0;
    for (let node = 0; node < member.nodes; node++)
      if (node !== member.node) this.#links.set(node, newLink(this.#epoch, now));
    const take = (bytes: Uint8Array) => this.#take(bytes);
    transport.subscribe(subjectOf(member.node), take);
    transport.subscribe(EVERYONE, take);
    this.#timer = setInterval(() => this.#tick(), TICK).unref();
    this.#tick();
  }

  get quiet(): boolean {
    return [...this.#links.values()].every(({ waiting }) => waiting === 0);
  }

  get acquainted(): boolean {
    return [...this.#links.values()].every(({ theirs }) => theirs !== null);
  }

  unacknowledged(node: number): readonly Unacknowledged[] {
    return inWords(unacknowledged(this.#links.get(node)!));
  }

  get counts(): CarrierCounts {
    let resent = 0;
    let doubled = 0;
    for (const link of this.#links.values()) {
      resent += link.resent;
      doubled += link.doubled;
    }
    const refused = { ...this.#refused };
    return { published: this.#published, arrived: this.#arrived, resent, doubled, refused };
  }

  offer(source: number, item: NodeItem, nodes: readonly number[]): void {
    const now = this.#clock;
    const addressees: Addressee[] = [];
    for (const node of nodes) {
      const effects = this.#step(node, { is: 'offer', source, item, now });
      for (const effect of effects) {
        // One message for all to whom it goes now.
        if (effect.do === 'send' && effect.frame.kind === 'data' && effect.frame.item === item)
          addressees.push({ node, to: effect.frame.to, seq: effect.frame.seq });
        else this.#do(node, effect);
      }
    }
    const [first, ...more] = addressees;
    if (!first) return;
    const subject = more.length > 0 ? EVERYONE : subjectOf(first.node);
    this.#publish(subject, { kind: 'data', source, for: addressees, item });
  }

  async close(): Promise<void> {
    this.#flushAll();
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#transport.close();
  }

  #step(node: number, event: LinkEvent<NodeItem>): Effect<NodeItem>[] {
    return step(this.#links.get(node)!, event, this.#limits);
  }

  #publish(subject: string, content: Content): void {
    if (this.#isClosed) return;
    this.#published += 1;
    const message = encodeMessage(this.#member, {
      from: this.#member.node,
      epoch: this.#epoch,
      ...content,
    } as Envelope);
    if (content.kind === 'data') this.#receiver.handed?.(content.source, content.item);
    this.#transport.publish(subject, message);
  }

  #do(node: number, effect: Effect<NodeItem>): void {
    switch (effect.do) {
      case 'send':
        this.#publish(subjectOf(node), contentOf(node, effect.frame));
        break;
      case 'deliver':
        this.#receiver.deliver(effect.source, effect.item, effect.seq);
        break;
      case 'refuse':
        this.#count(effect.reason);
        break;
      case 'full':
        this.#receiver.failed(new NodeQueueError(node, this.#limits.capacity));
        break;
      case 'restarted': {
        const lost = inWords(effect.unacknowledged);
        if (lost.length > 0) this.#receiver.failed(new NodeLostError(node, this.#runs(node), 'has begun anew', lost));
        this.#receiver.joined(node);
        break;
      }
      case 'dead': {
        const why = `was not heard of for ${this.#limits.deadline} ms`;
        this.#receiver.failed(new NodeLostError(node, this.#runs(node), why, inWords(effect.unacknowledged)));
      }
    }
  }

  #runs(node: number): number[] {
    return this.#member.homes.flatMap((home, vcpu) => (home === node ? [vcpu] : []));
  }

  #count(reason: EnvelopeRefusal | LinkRefusal): void {
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
  }

  #take(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    this.#arrived += 1;
    const message = decodeMessage(this.#member, bytes);
    if (typeof message === 'string') {
      this.#count(message);
      return;
    }
    const now = this.#clock;
    for (const frame of framesOf(this.#member.node, message))
      for (const effect of this.#step(message.from, { is: 'frame', frame, now })) this.#do(message.from, effect);
    this.#flushSoon();
  }

  #flushSoon(): void {
    this.#flushTimer ??= setTimeout(() => this.#flushAll(), ACK_DELAY);
  }

  /** One acknowledgement for all that a node has brought. */
  #flushAll(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    for (const node of this.#links.keys()) this.#flush(node);
  }

  #flush(node: number): void {
    const acks: Acknowledgement[] = [];
    let to = '';
    for (const effect of this.#step(node, { is: 'flush' })) {
      if (effect.do !== 'send' || effect.frame.kind !== 'ack') continue;
      acks.push({ source: effect.frame.source, upTo: effect.frame.upTo });
      to = effect.frame.to;
    }
    if (acks.length > 0) this.#publish(subjectOf(node), { kind: 'acks', node, to, acks });
  }

  #tick(): void {
    const looked = performance.now();
    this.#clock += Math.min(looked - this.#looked, LONGEST_TICK);
    this.#looked = looked;
    const now = this.#clock;
    for (const node of this.#links.keys())
      for (const effect of this.#step(node, { is: 'tick', now })) this.#do(node, effect);
  }
}

function contentOf(node: number, frame: Frame<NodeItem>): Content {
  switch (frame.kind) {
    case 'ask':
      return { kind: 'ask', node, nonce: frame.nonce };
    case 'answer':
      return { kind: 'answer', node, to: frame.to, nonce: frame.nonce };
    case 'data': {
      const { source, item, to, seq } = frame;
      return { kind: 'data', source, for: [{ node, to, seq }], item };
    }
    case 'ack': {
      const { source, upTo, to } = frame;
      return { kind: 'acks', node, to, acks: [{ source, upTo }] };
    }
  }
}

/** What of a message is for this node. */
function framesOf(own: number, message: Envelope): Frame<NodeItem>[] {
  const { epoch } = message;
  if (message.kind === 'data') {
    const { source, item } = message;
    const mine = message.for.filter(({ node }) => node === own);
    return mine.map(({ to, seq }) => ({ kind: 'data', epoch, to, source, seq, item }));
  }
  if (message.node !== own) return [];
  if (message.kind === 'ask') return [{ kind: 'ask', epoch, nonce: message.nonce }];
  const { to } = message;
  if (message.kind === 'answer') return [{ kind: 'answer', epoch, to, nonce: message.nonce }];
  return message.acks.map(({ source, upTo }) => ({ kind: 'ack', epoch, to, source, upTo }));
}

/** Interrupts alone: what a local APIC has become is not one. */
function inWords(waiting: readonly { source: number; seq: number; item: NodeItem }[]): Unacknowledged[] {
  return waiting
    .filter(({ item }) => item.is !== 'apic')
    .map(({ source, seq, item }) => ({ source, seq, what: describeItem(source, item) }));
}
