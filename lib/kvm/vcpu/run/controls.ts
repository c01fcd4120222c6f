/** Who waits for a vCPU's thread: those that kicked it, paused it, or stopped it. */
import { DeadlineError } from '../../../base/errors.ts';
import { VcpuStopError } from '../errors.ts';
import type { ThreadState } from './state.ts';

interface Waiter {
  /** Of a kick: that of the addon, which `acked` has to reach. */
  readonly number: number;
  readonly resolve: () => void;
}

export class Controls {
  readonly #vcpuId: number;
  readonly #kicks: Waiter[] = [];
  readonly #pauses: Waiter[] = [];
  readonly #stops: Waiter[] = [];

  constructor(vcpuId: number) {
    this.#vcpuId = vcpuId;
  }

  kicked(number: number, ms: number): Promise<void> {
    return this.#wait(this.#kicks, number, ms, () => this.#late('was not kicked out of the guest', ms));
  }

  paused(ms: number): Promise<void> {
    return this.#wait(this.#pauses, 0, ms, () => this.#late('was not taken out of the guest', ms));
  }

  stopped(ms: number): Promise<void> {
    return this.#wait(this.#stops, 0, ms, () => new VcpuStopError(this.#vcpuId, ms));
  }

  /** The thread has said where it is, and up to which kick it has been out. */
  settle(thread: ThreadState, acked: number): void {
    while (this.#kicks.length > 0 && this.#kicks[0]!.number <= acked) this.#kicks.shift()!.resolve();
    if (thread !== 'guest') for (const { resolve } of this.#pauses.splice(0)) resolve();
    if (thread === 'ended') for (const { resolve } of this.#stops.splice(0)) resolve();
  }

  #wait(waiters: Waiter[], number: number, ms: number, error: () => Error): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = () => {
        const at = waiters.indexOf(waiter);
        if (at < 0) return;
        waiters.splice(at, 1);
        reject(error());
      };
      // Timers come before the thread's news: after an event loop that was busy, these may lie there already.
      const timer = setTimeout(() => setImmediate(late), ms);
      const waiter = {
        number,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      waiters.push(waiter);
    });
  }

  #late(what: string, ms: number): DeadlineError {
    return new DeadlineError(`vCPU ${this.#vcpuId} ${what} within ${ms} ms`, '');
  }
}
