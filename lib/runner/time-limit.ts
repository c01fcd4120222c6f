import { DeadlineError } from '../base/errors.ts';

/** A script that waits for something outside a guest ends in time as well. */
export class TimeLimit {
  readonly #timer: NodeJS.Timeout;
  #fail: (error: Error) => void = () => {};
  readonly #over = new Promise<never>((_, reject) => {
    this.#fail = reject;
  });

  constructor(ms: number) {
    this.#over.catch(() => {});
    const late = new DeadlineError('The script did not end within the time that --timeout allows', '');
    this.#timer = setTimeout(() => this.#fail(late), ms);
  }

  keep<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#over]);
  }

  unref(): void {
    this.#timer.unref();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
