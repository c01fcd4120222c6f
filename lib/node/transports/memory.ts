/** Nodes in one process: messages go from one to the others by the event loop, and may be lost, doubled or reordered on purpose. */
import type { Transport } from '../transport.ts';

/** What the bus does to messages: how likely, 0 to 1, each by itself. */
export interface BusFaults {
  readonly loss?: number;
  readonly duplicate?: number;
  /** The message comes some turns of the event loop late, behind later ones. */
  readonly delay?: number;
  /** A number from 0 to 1, as Math.random gives it. Without it nothing happens to messages. */
  readonly random?: () => number;
}

interface Subscriber {
  readonly member: object;
  readonly take: (message: Uint8Array) => void;
}

/** So many turns of the event loop a late message is late at most. */
const LATEST = 20;

/** What the nodes of one process are joined by. */
export class MemoryBus {
  readonly #subscribers = new Map<string, Set<Subscriber>>();
  /** What the next turn of the event loop brings, and each that follows. */
  #turns: (() => void)[][] = [];
  #isDue = false;
  #faults: BusFaults;
  /** Nothing gets through while it is. */
  cut = false;
  /** Messages that were handed to the bus. */
  published = 0;

  constructor(faults: BusFaults = {}) {
    this.#faults = faults;
  }

  /** From now on. */
  set faults(faults: BusFaults) {
    this.#faults = faults;
  }

  /** The transport of one node. */
  join(): Transport {
    const member = {};
    return {
      publish: (subject, message) => this.#publish(member, subject, message),
      subscribe: (subject, take) => {
        const known = this.#subscribers.get(subject) ?? new Set();
        this.#subscribers.set(subject, known.add({ member, take }));
      },
      close: async () => {
        for (const known of this.#subscribers.values())
          for (const one of known) if (one.member === member) known.delete(one);
      },
    };
  }

  #publish(from: object, subject: string, message: Uint8Array): void {
    this.published += 1;
    if (this.cut) return;
    for (const one of this.#subscribers.get(subject) ?? []) {
      if (one.member === from) continue;
      for (const late of this.#fate())
        this.#later(late, () => {
          if (!this.cut && this.#subscribers.get(subject)?.has(one)) one.take(message);
        });
    }
  }

  /** How late each copy of a message is. */
  #fate(): number[] {
    const { random, loss = 0, duplicate = 0, delay = 0 } = this.#faults;
    if (!random) return [0];
    if (random() < loss) return [];
    const late = () => (random() < delay ? 1 + Math.floor(random() * LATEST) : 0);
    return random() < duplicate ? [late(), late()] : [late()];
  }

  #later(turns: number, bring: () => void): void {
    while (this.#turns.length <= turns) this.#turns.push([]);
    this.#turns[turns]!.push(bring);
    this.#wake();
  }

  #wake(): void {
    if (this.#isDue || this.#turns.length === 0) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      for (const bring of this.#turns.shift() ?? []) bring();
      this.#wake();
    });
  }
}
