/** Where the events of a trace lie: those that somebody has made as they are, the others as the addon has stored them. */
import type { ExitLog } from '../kvm/vcpu/run/exit-log.ts';
import { RECORD_BYTES } from '../kvm/vcpu/run/log-record.ts';
import type { VmAct } from '../kvm/vm/acts.ts';
import { injection, traceAct } from './act.ts';
import { type Act, isExit, type TraceEvent } from './event.ts';
import { eventAt, type StoredEvents } from './record.ts';

export interface EventStore {
  /** How many there are: all before the first one that is still on its way. */
  readonly length: number;
  /** How many of them are exits. */
  readonly exits: number;
  /** 0 to `length - 1`. */
  at(index: number): TraceEvent;
  isExit(index: number): boolean;
  add(event: TraceEvent): void;
}

/** Events that were all made by somebody. */
export class MadeEvents implements EventStore {
  readonly #events: TraceEvent[] = [];
  exits = 0;

  get length(): number {
    return this.#events.length;
  }

  at(index: number): TraceEvent {
    return this.#events[index]!;
  }

  isExit(index: number): boolean {
    return isExit(this.#events[index]!);
  }

  add(event: TraceEvent): void {
    this.#events.push(event);
    if (isExit(event)) this.exits += 1;
  }
}

/** So many events are kept as objects once somebody has looked at them: a look at a longer trace makes them again. */
const KEPT = 10_000;

/** The events of a machine: each has its slot in the log, and most of them nobody ever looks at. */
export class LoggedEvents implements EventStore {
  readonly #log: ExitLog;
  readonly #born: number;
  readonly #homes: readonly number[] | undefined;
  readonly #made = new Map<number, TraceEvent>();
  /** Acts whose events nobody has looked at, by their slots. */
  readonly #acts = new Map<
    number,
    { readonly ns: number; readonly act: Act | VmAct; readonly node: number | undefined }
  >();
  #length = 0;
  #exits = 0;
  /** Below that nobody will make events any more. */
  #settled = 0;

  /**
   * @param born CLOCK_MONOTONIC in nanoseconds
   * @param homes by vcpu_id the node that runs it, of a machine with several
   */
  constructor(log: ExitLog, born: number, homes?: readonly number[]) {
    this.#log = log;
    this.#born = born;
    this.#homes = homes;
  }

  get length(): number {
    this.#look();
    return this.#length;
  }

  get exits(): number {
    this.#look();
    return this.#exits;
  }

  /** Goes on over what has been filled since. */
  #look(): void {
    const taken = this.#log.length;
    while (this.#length < taken) {
      const made = this.#made.get(this.#length);
      let isAct = made === undefined ? this.#acts.has(this.#length) : !isExit(made);
      if (made === undefined && !isAct) {
        const state = this.#log.state(this.#length);
        if (state === 'empty' || (state === 'parked' && this.#length >= this.#settled)) return;
        isAct = state === 'message';
      }
      if (!isAct) this.#exits += 1;
      this.#length += 1;
    }
  }

  /** No vCPU runs now: an exit that nobody has looked at is what the log has of it. */
  settle(): void {
    this.#settled = this.#log.length;
  }

  at(index: number): TraceEvent {
    const made = this.#made.get(index);
    if (made !== undefined) return made;
    const event = this.#make(index);
    if (index >= KEPT) return event;
    this.#made.set(index, event);
    this.#acts.delete(index);
    return event;
  }

  isExit(index: number): boolean {
    const made = this.#made.get(index);
    if (made !== undefined) return isExit(made);
    return !this.#acts.has(index) && this.#log.state(index) !== 'message';
  }

  #make(seq: number): TraceEvent {
    const done = this.#acts.get(seq);
    if (done !== undefined) {
      const { ns, act, node } = done;
      return traceAct({ seq, ns, ...(node !== undefined && { node }) }, 'act' in act ? act : injection(act));
    }
    const of = { seq, born: this.#born, homes: this.#homes };
    return this.#log.read(seq, (view, at, decoder) => eventAt(view, at, decoder, of));
  }

  /** Events as the addon has stored them, from one on and up to another; `null` if that one is not stored so. */
  stored(from: number, to: number): Omit<StoredEvents, 'profile'> | null {
    let end = from;
    while (end < to && this.#isStored(end)) end += 1;
    if (end === from) return null;
    const bytes = this.#log.records(from, end);
    return { seq: from, count: bytes.length / RECORD_BYTES, born: this.#born, homes: this.#homes, bytes };
  }

  #isStored(seq: number): boolean {
    if (this.#acts.has(seq)) return false;
    const state = this.#log.state(seq);
    return state === 'whole' || state === 'message';
  }

  /** `seq` is the slot of the event. */
  add(event: TraceEvent): void {
    this.#made.set(event.seq, event);
  }

  /**
   * An act, whose event is made when somebody looks at it: a script may send an interrupt each microsecond.
   *
   * @param seq its slot
   * @param ns since the machine was made
   * @param act nobody changes it any more
   * @param node where, of a machine with several
   */
  addAct(seq: number, ns: number, act: Act | VmAct, node?: number): void {
    this.#acts.set(seq, { ns, act, node });
  }
}
