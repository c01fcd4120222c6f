/** Eventfds: what irqfds and ioeventfds signal and are signalled by. */
import { checkU64 } from '../base/check.ts';
import { type Duration, milliseconds } from '../base/duration.ts';
import { ECANCELED, ETIME } from '../base/errno.ts';
import { ArgumentError, ClosedError, DeadlineError } from '../base/errors.ts';
import { systemCallError } from './limit.ts';
import { createEventFd, type NativeEventFd, translated } from './native.ts';

/** The largest count that an eventfd holds: 2^64 - 2. */
const MAX_COUNT = (1n << 64n) - 2n;

/**
 * An eventfd: a 64-bit counter that the kernel and this process signal each other with. For irqfds, their resamplers and
 * ioeventfds.
 *
 * A VM that was given it holds it: closing it here does not take it away from KVM. Deassign it first to do that.
 * Source: eventfd(2).
 */
export class EventFd implements Disposable {
  #native: NativeEventFd | null;

  private constructor(native: NativeEventFd) {
    this.#native = native;
  }

  /** A new one, counter 0. Throws IoctlError (eventfd: EMFILE, ENFILE, ENOMEM). */
  static create(): EventFd {
    return new EventFd(createEventFd());
  }

  /** @internal The addon's object, for `Vm`. Throws `ClosedError`. */
  get native(): NativeEventFd {
    if (!this.#native) throw new ClosedError('the EventFd');
    return this.#native;
  }

  /** True after `close()`: every other call then throws a ClosedError. */
  get closed(): boolean {
    return this.#native === null;
  }

  /** The sum of what was written since the last read, which sets it back to 0; `null` if nothing was. Never waits. */
  read(): bigint | null {
    const native = this.native;
    return translated(() => native.read());
  }

  /**
   * Adds to the counter.
   *
   * @param count 0 to 2^64 - 2
   * @throws ArgumentError; IoctlError (write: EAGAIN if the counter would pass 2^64 - 2)
   */
  write(count: bigint | number = 1n): void {
    const native = this.native;
    const value = checkU64('count', count);
    if (value > MAX_COUNT) throw new ArgumentError('count', 'count is more than 2^64-2', 'Give a smaller count.');
    translated(() => native.write(value));
  }

  /**
   * Waits, beside the event loop, until the counter is not 0, then reads it.
   *
   * @throws DeadlineError if nothing was written by then; ClosedError if it is closed meanwhile; ArgumentError
   */
  async wait(deadline: Duration): Promise<bigint> {
    const limit = milliseconds(deadline);
    const ends = performance.now() + limit;
    for (;;) {
      const count = this.read();
      // Another reader may have been quicker than this one: then there is nothing, and the wait goes on.
      if (count !== null) return count;
      const left = Math.max(0, ends - performance.now());
      const result = await this.#readable(left / 1000);
      if (result === -ETIME) throw new DeadlineError(`Nothing was written to the EventFd within ${limit} ms`, '');
      if (result === -ECANCELED) throw new ClosedError('the EventFd');
      if (result < 0) throw systemCallError('epoll_wait', -result);
    }
  }

  #readable(seconds: number): Promise<number> {
    const native = this.native;
    return new Promise((resolve, reject) => {
      try {
        translated(() => native.wait(seconds, resolve));
      } catch (error) {
        reject(error);
      }
    });
  }

  /** Lets go of it; a `wait` that is under way ends with ClosedError. Twice is once. */
  close(): void {
    this.#native?.close();
    this.#native = null;
  }

  /** Closes it: `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
