/**
 * What goes between two nodes, as a pure state machine: each item arrives once, and in the order of its source, whatever the
 * transport loses, doubles or reorders. It knows no clock, no transport and no KVM; `test/unit/node` explores it exhaustively.
 *
 * A run of a node has an epoch of its own. A node believes in its peer's epoch only by an answer to a question of its own, so that no
 * message of an earlier run can pass for one of this run, and no clock is asked which of two runs is the later one.
 */

/** How much may wait, and for how long: times in ms. */
export interface LinkLimits {
  /** So many items of one source are on their way at most: the receiver keeps no more that came early. */
  readonly window: number;
  /** So many items wait for their acknowledgement at most, of all sources together. */
  readonly capacity: number;
  /** An item that is not acknowledged is sent again after this, and then after twice as long, and so on. */
  readonly resend: number;
  /** The longest of these. */
  readonly longest: number;
  /** So many of a source are sent again at once. */
  readonly burst: number;
  /** A peer that is not heard of for so long is named. */
  readonly deadline: number;
}

export const defaultLimits: LinkLimits = {
  window: 1024,
  capacity: 65_536,
  resend: 50,
  longest: 1000,
  burst: 64,
  deadline: 3000,
};

/** An item in its place: the sequence of each source begins at 1. */
export interface Numbered<T> {
  /** vcpu_id. */
  readonly source: number;
  readonly seq: number;
  readonly item: T;
}

/** What a node says to another: `epoch` is the sender's run, `to` the run of the receiver that it means. */
export type Frame<T> =
  | { readonly kind: 'ask'; readonly epoch: string; readonly nonce: number }
  | { readonly kind: 'answer'; readonly epoch: string; readonly to: string; readonly nonce: number }
  | ({ readonly kind: 'data'; readonly epoch: string; readonly to: string } & Numbered<T>)
  | {
      readonly kind: 'ack';
      readonly epoch: string;
      readonly to: string;
      readonly source: number;
      readonly upTo: number;
    };

/** Why a frame was not taken. `stale`: of another run than that which is known, or for one; `early`: past the window. */
export type LinkRefusal = 'stale' | 'early';

export type LinkEvent<T> =
  | { readonly is: 'offer'; readonly source: number; readonly item: T; readonly now: number }
  | { readonly is: 'frame'; readonly frame: Frame<T>; readonly now: number }
  | { readonly is: 'tick'; readonly now: number }
  /** What is owed is to be acknowledged: one acknowledgement may be for many items. */
  | { readonly is: 'flush' };

export type Effect<T> =
  | { readonly do: 'send'; readonly frame: Frame<T> }
  | ({ readonly do: 'deliver' } & Numbered<T>)
  /** The item was not taken: too many wait. */
  | { readonly do: 'full'; readonly source: number; readonly item: T }
  /** The peer runs anew: what its earlier run has not acknowledged is void. */
  | { readonly do: 'restarted'; readonly unacknowledged: readonly Numbered<T>[] }
  /** Nothing was heard of the peer for the deadline. */
  | { readonly do: 'dead'; readonly unacknowledged: readonly Numbered<T>[] }
  | { readonly do: 'refuse'; readonly reason: LinkRefusal };

/** What one source has sent to the peer. */
interface Outgoing<T> {
  /** The sequence of the next item. */
  next: number;
  /** In order. */
  waiting: Numbered<T>[];
  /** How many of these have been sent. */
  sent: number;
  /** When the first is sent again, and how long that takes the next time. */
  due: number;
  wait: number;
}

/** What came of one source of the peer. */
interface Incoming<T> {
  /** All up to here were delivered. */
  upTo: number;
  early: Map<number, T>;
  owes: boolean;
}

/** Plain data: `structuredClone` makes another link of it. */
export interface LinkState<T> {
  readonly mine: string;
  /** The peer's run, as far as it is known. */
  theirs: string | null;
  /** Of the last question. */
  nonce: number;
  /** When it was asked; `null`: it is answered. */
  asked: number | null;
  /** When something was heard of the peer's run last. */
  heard: number;
  dead: boolean;
  waiting: number;
  readonly out: Map<number, Outgoing<T>>;
  readonly in: Map<number, Incoming<T>>;
  /** What was sent again, and what came again. */
  resent: number;
  doubled: number;
}

/** @param epoch of this run: no other run of the node has it */
export function newLink<T>(epoch: string, now: number): LinkState<T> {
  return {
    mine: epoch,
    theirs: null,
    nonce: 0,
    asked: null,
    heard: now,
    dead: false,
    waiting: 0,
    out: new Map(),
    in: new Map(),
    resent: 0,
    doubled: 0,
  };
}

/** What waits for its acknowledgement, by source and in order. */
export function unacknowledged<T>(link: LinkState<T>): Numbered<T>[] {
  return [...link.out.values()].flatMap(({ waiting }) => waiting);
}

/** Changes the link by one event, and says what is to be done. */
export function step<T>(link: LinkState<T>, event: LinkEvent<T>, limits: LinkLimits = defaultLimits): Effect<T>[] {
  const effects: Effect<T>[] = [];
  switch (event.is) {
    case 'offer':
      offer(link, event, limits, effects);
      break;
    case 'frame':
      take(link, event.frame, event.now, limits, effects);
      break;
    case 'tick':
      tick(link, event.now, limits, effects);
      break;
    case 'flush':
      for (const [source, stream] of link.in) if (stream.owes) acknowledge(link, source, stream, effects);
  }
  return effects;
}

type Offer<T> = Extract<LinkEvent<T>, { is: 'offer' }>;

function offer<T>(link: LinkState<T>, { source, item, now }: Offer<T>, limits: LinkLimits, effects: Effect<T>[]): void {
  if (link.waiting >= limits.capacity) {
    effects.push({ do: 'full', source, item });
    return;
  }
  let stream = link.out.get(source);
  if (!stream) {
    stream = { next: 1, waiting: [], sent: 0, due: 0, wait: limits.resend };
    link.out.set(source, stream);
  }
  stream.waiting.push({ source, seq: stream.next++, item });
  link.waiting += 1;
  if (link.theirs === null) ask(link, now, limits, effects);
  else sendOn(link, stream, now, limits, effects);
}

/** Sends what was never sent, as far as the window goes. */
function sendOn<T>(
  link: LinkState<T>,
  stream: Outgoing<T>,
  now: number,
  { window }: LinkLimits,
  effects: Effect<T>[],
): void {
  if (stream.sent === 0) stream.due = now + stream.wait;
  while (stream.sent < Math.min(stream.waiting.length, window))
    effects.push(sending(link, stream.waiting[stream.sent++]!));
}

function sending<T>(link: LinkState<T>, numbered: Numbered<T>): Effect<T> {
  return { do: 'send', frame: { kind: 'data', epoch: link.mine, to: link.theirs!, ...numbered } };
}

/** Asks who the peer is, unless a question is on its way. */
function ask<T>(link: LinkState<T>, now: number, { resend }: LinkLimits, effects: Effect<T>[]): void {
  if (link.asked !== null && now < link.asked + resend) return;
  // The same one again: who begins another has had an answer, so that what the answer to a later one names is never an earlier run.
  if (link.asked === null) link.nonce += 1;
  link.asked = now;
  effects.push({ do: 'send', frame: { kind: 'ask', epoch: link.mine, nonce: link.nonce } });
}

function take<T>(link: LinkState<T>, frame: Frame<T>, now: number, limits: LinkLimits, effects: Effect<T>[]): void {
  if (frame.kind === 'ask') {
    // An old question may come again: it says nothing of who the peer is now.
    effects.push({
      do: 'send',
      frame: { kind: 'answer', epoch: link.mine, to: frame.epoch, nonce: frame.nonce },
    });
    if (frame.epoch !== link.theirs) ask(link, now, limits, effects);
    return;
  }
  if (frame.to !== link.mine) {
    effects.push({ do: 'refuse', reason: 'stale' });
    // A peer that means an earlier run of this node learns of this one by being asked.
    if (frame.kind === 'data') ask(link, now, limits, effects);
    return;
  }
  if (frame.kind === 'answer') {
    answered(link, frame, now, limits, effects);
    return;
  }
  if (frame.epoch !== link.theirs) {
    effects.push({ do: 'refuse', reason: 'stale' });
    ask(link, now, limits, effects);
    return;
  }
  heard(link, now);
  if (frame.kind === 'ack') acknowledged(link, frame, now, limits, effects);
  else arrived(link, frame, limits, effects);
}

function heard<T>(link: LinkState<T>, now: number): void {
  link.heard = now;
  link.dead = false;
}

function answered<T>(
  link: LinkState<T>,
  { epoch, nonce }: Extract<Frame<T>, { kind: 'answer' }>,
  now: number,
  limits: LinkLimits,
  effects: Effect<T>[],
): void {
  if (link.asked === null || nonce !== link.nonce) {
    effects.push({ do: 'refuse', reason: 'stale' });
    return;
  }
  link.asked = null;
  heard(link, now);
  if (epoch === link.theirs) return;
  if (link.theirs !== null) {
    effects.push({ do: 'restarted', unacknowledged: unacknowledged(link) });
    link.out.clear();
    link.in.clear();
    link.waiting = 0;
  }
  link.theirs = epoch;
  for (const stream of link.out.values()) sendOn(link, stream, now, limits, effects);
}

function acknowledged<T>(
  link: LinkState<T>,
  { source, upTo }: Extract<Frame<T>, { kind: 'ack' }>,
  now: number,
  limits: LinkLimits,
  effects: Effect<T>[],
): void {
  const stream = link.out.get(source);
  // What was never sent nobody has taken.
  const done = stream ? Math.min(upTo - (stream.next - 1 - stream.waiting.length), stream.sent) : 0;
  if (!stream || done <= 0) return;
  stream.waiting.splice(0, done);
  stream.sent -= done;
  link.waiting -= done;
  stream.wait = limits.resend;
  stream.due = now + stream.wait;
  sendOn(link, stream, now, limits, effects);
}

function arrived<T>(
  link: LinkState<T>,
  { source, seq, item }: Numbered<T>,
  { window }: LinkLimits,
  effects: Effect<T>[],
): void {
  let stream = link.in.get(source);
  if (!stream) {
    stream = { upTo: 0, early: new Map(), owes: false };
    link.in.set(source, stream);
  }
  if (seq > stream.upTo + window) {
    effects.push({ do: 'refuse', reason: 'early' });
    return;
  }
  // Also what came before: its acknowledgement may be lost.
  stream.owes = true;
  if (seq <= stream.upTo || stream.early.has(seq)) {
    link.doubled += 1;
    return;
  }
  stream.early.set(seq, item);
  for (let next = stream.upTo + 1; stream.early.has(next); next++) {
    effects.push({ do: 'deliver', source, seq: next, item: stream.early.get(next)! });
    stream.early.delete(next);
    stream.upTo = next;
  }
}

function acknowledge<T>(link: LinkState<T>, source: number, stream: Incoming<T>, effects: Effect<T>[]): void {
  stream.owes = false;
  if (link.theirs === null) return;
  const { upTo } = stream;
  effects.push({ do: 'send', frame: { kind: 'ack', epoch: link.mine, to: link.theirs, source, upTo } });
}

function tick<T>(link: LinkState<T>, now: number, limits: LinkLimits, effects: Effect<T>[]): void {
  if (!link.dead && now - link.heard >= limits.deadline) {
    link.dead = true;
    effects.push({ do: 'dead', unacknowledged: unacknowledged(link) });
  }
  // A peer that says nothing is asked, so that one that has died or begun anew is known in time.
  if (link.theirs === null || link.asked !== null || now - link.heard >= limits.deadline / 3)
    ask(link, now, limits, effects);
  if (link.theirs === null) return;
  for (const stream of link.out.values()) {
    if (stream.sent === 0 || now < stream.due) continue;
    const again = stream.waiting.slice(0, Math.min(stream.sent, limits.burst));
    for (const numbered of again) effects.push(sending(link, numbered));
    link.resent += again.length;
    stream.wait = Math.min(stream.wait * 2, limits.longest);
    stream.due = now + stream.wait;
  }
}
