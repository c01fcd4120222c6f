/** Calls of a run's handlers, one at a time: `onExit` and `onRecords` may return a promise. */
import { ArgumentError } from '../../../base/errors.ts';
import { show } from '../../../base/text.ts';

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
   * @param name of the handler, for a message: what it answers, now or later, has to be nothing
   * @param later called after `done` if that was not during this call
   * @returns true if `done` has not been called: the handler's promise is pending, or it has thrown
   */
  call(name: string, handler: () => void | Promise<void>, done: () => void, later: () => void): boolean {
    this.#atWork = true;
    let result: void | Promise<void>;
    try {
      result = handler();
      if (!isPromise(result)) checkNothing(name, result);
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
    Promise.resolve(result)
      .then((answer) => checkNothing(name, answer))
      .then(
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

function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value;
}

/** A verdict that a handler answers would be lost: it has none to give. */
function checkNothing(name: string, answer: unknown): void {
  if (answer === undefined) return;
  throw new ArgumentError(
    name,
    `${name} answered ${show(answer)}, and nobody looks at that`,
    'Return nothing, or a promise of nothing; run.stop() ends a run.',
  );
}
