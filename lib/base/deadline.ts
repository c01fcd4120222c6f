/** A wait that ends in time: what is waited for, or an error. */
export class Deadline {
  readonly #timer: NodeJS.Timeout;
  readonly #over: Promise<never>;

  /**
   * @param ms from now on
   * @param late makes the error of a wait that has taken longer
   */
  constructor(ms: number, late: () => unknown) {
    let fail: (error: unknown) => void = () => {};
    this.#over = new Promise<never>((_, reject) => {
      fail = reject;
    });
    // Nobody may be waiting when the time is over.
    this.#over.catch(() => {});
    this.#timer = setTimeout(() => fail(late()), ms);
  }

  /** What becomes of the work, or the error if the time is over first. */
  keep<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#over]);
  }

  /** The wait alone does not keep the process alive. */
  unref(): void {
    this.#timer.unref();
  }

  /** There is nothing to wait for any more. */
  clear(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
