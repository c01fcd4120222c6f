/** Calls of a run's handlers, one at a time: `onExit` and `onRecords` may return a promise. */
export class Handlers {
  readonly #failed: (error: unknown) => void;
  #atWork = false;

  /** @param failed takes what a handler throws */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  /** A handler is being called, or its promise is pending. */
  get atWork(): boolean {
    return this.#atWork;
  }

  /**
   * Calls a handler, and `done` after it.
   *
   * @param later called after `done` if that was not during this call
   * @returns true if `done` has not been called: the handler's promise is pending, or it has thrown
   */
  call(handler: () => void | Promise<void>, done: () => void, later: () => void): boolean {
    this.#atWork = true;
    let result: void | Promise<void>;
    try {
      result = handler();
    } catch (error) {
      this.#atWork = false;
      this.#failed(error);
      return true;
    }
    if (result === undefined) {
      this.#atWork = false;
      done();
      return false;
    }
    Promise.resolve(result).then(
      () => {
        this.#atWork = false;
        done();
        later();
      },
      (error) => {
        this.#atWork = false;
        this.#failed(error);
      },
    );
    return true;
  }
}
