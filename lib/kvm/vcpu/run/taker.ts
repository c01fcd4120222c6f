/** The pending `next()` of a loop over a run's exits. */
import type { Exit } from '../../../exit/exit.ts';

type Taken = IteratorResult<Exit, undefined>;

export class Taker {
  readonly result: Promise<Taken>;
  readonly #timer: NodeJS.Timeout;
  #settle!: { resolve: (taken: Taken) => void; reject: (error: unknown) => void };

  /** @param late called if nothing has come after `ms` milliseconds */
  constructor(ms: number, late: () => void) {
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#timer = setTimeout(late, ms);
  }

  exit(value: Exit): void {
    clearTimeout(this.#timer);
    this.#settle.resolve({ done: false, value });
  }

  /** There is no other exit. */
  end(failure: { readonly error: unknown } | null): void {
    clearTimeout(this.#timer);
    if (failure) this.#settle.reject(failure.error);
    else this.#settle.resolve({ done: true, value: undefined });
  }
}
