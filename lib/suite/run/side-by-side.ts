/** Several places that run one plan, each a part of it; it is told as if one place had run it. */
import type { Executor, Item, KernelTold, Outcome, Sink } from './protocol.ts';
import { notRun } from './run.ts';

/** Makes the executor of a place, from 0; it ends early if the signal is aborted: what it would still tell is not wanted. */
export type PlaceMaker = (place: number, signal: AbortSignal) => Executor;

/**
 * Deals the items to so many places, one to each in turn: long and short ones come to all of them.
 *
 * @param signal ends all of them
 */
export function sideBySide(places: number, make: PlaceMaker, signal?: AbortSignal): Executor {
  return async (items, sink) => {
    const stop = new AbortController();
    const ends = signal ? AbortSignal.any([stop.signal, signal]) : stop.signal;
    if (places === 1) return await make(0, ends)(items, sink);
    const told = new InPlanOrder(items, sink, () => stop.abort());
    const parts = Array.from({ length: places }, (_, place) =>
      items.filter((_item, index) => index % places === place),
    );
    const ended = await Promise.allSettled(
      parts.map((part, place) => Promise.resolve(part).then((dealt) => make(place, ends)(dealt, told))),
    );
    if (told.stopped) return null;
    const whys = ended.map((end) => (end.status === 'fulfilled' ? end.value : messageOf(end.reason)));
    // What has come out of turn is told; the rest has not failed.
    if (signal?.aborted) told.flush();
    else told.close((item) => whys[items.findIndex(({ n }) => n === item.n) % places] ?? null);
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
    return whys.find((why) => why !== null) ?? null;
  };
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Tells a sink in the order of the plan what comes in any order. */
class InPlanOrder implements Sink {
  stopped = false;
  readonly #items: readonly Item[];
  readonly #sink: Sink;
  readonly #onStop: () => void;
  /** The place, in the plan, of the item that is told next. */
  #next = 0;
  #isTold = false;
  readonly #begun = new Map<number, number>();
  readonly #ended = new Map<number, () => boolean>();

  constructor(items: readonly Item[], sink: Sink, onStop: () => void) {
    this.#items = items;
    this.#sink = sink;
    this.#onStop = onStop;
  }

  facts(...facts: Parameters<Sink['facts']>): void {
    this.#sink.facts(...facts);
  }

  note(text: string): void {
    this.#sink.note(text);
  }

  start(item: Item, at = performance.now()): void {
    this.#begun.set(item.n, at);
    this.#release();
  }

  outcome(item: Item, outcome: Outcome, ms: number, exits: number, seen?: KernelTold, at = performance.now()): boolean {
    this.#ended.set(item.n, () => this.#sink.outcome(item, outcome, ms, exits, seen, at));
    this.#release();
    return !this.stopped;
  }

  /** Tells the rest: what had no turn has not run, for the reason that its place gives. */
  close(why: (item: Item) => string | null): void {
    for (const item of this.#items)
      if (!this.#ended.has(item.n)) this.#ended.set(item.n, () => this.#sink.outcome(item, notRun(why(item)), 0, 0));
    this.#release();
  }

  /** Tells what has ended, though what stands before it in the plan has not. */
  flush(): void {
    for (const item of this.#items.slice(this.#next)) this.#ended.get(item.n)?.();
  }

  #release(): void {
    for (;;) {
      const item = this.#items[this.#next];
      if (!item || this.stopped) return;
      const begun = this.#begun.get(item.n);
      if (begun !== undefined && !this.#isTold) {
        this.#isTold = true;
        this.#sink.start(item, begun);
      }
      const end = this.#ended.get(item.n);
      if (!end) return;
      this.#next += 1;
      this.#isTold = false;
      if (end()) continue;
      this.stopped = true;
      this.#onStop();
    }
  }
}
