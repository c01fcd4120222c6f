/** Hands the records of a run's ring to `onRecords`, batch by batch. */
import type { NativeVcpu } from '../../native.ts';
import type { Handlers } from './handlers.ts';
import type { RecordReader } from './record-ring.ts';
import type { RecordOptions } from './records.ts';

/** Records that are fewer than half a ring are looked for so often, in ms. */
const FLUSH_INTERVAL = 10;

export class RecordDrain {
  readonly #native: NativeVcpu;
  readonly #reader: RecordReader;
  readonly #onRecords: RecordOptions['onRecords'];
  readonly #handlers: Handlers;
  /** Looks again what the run can do now. */
  readonly #turn: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    native: NativeVcpu,
    reader: RecordReader,
    onRecords: RecordOptions['onRecords'],
    handlers: Handlers,
    turn: () => void,
  ) {
    this.#native = native;
    this.#reader = reader;
    this.#onRecords = onRecords;
    this.#handlers = handlers;
    this.#turn = turn;
  }

  /** True if a handler is at work, or has failed, or other work of the process gets its turn before the rest. */
  drain(inGuest: boolean): boolean {
    for (let taken = 0; ; ) {
      const count = this.#native.recordsReady();
      if (count === 0) return false;
      // A guest that is faster than its handler would never let this end.
      if (taken >= this.#reader.capacity && inGuest) {
        setImmediate(this.#turn);
        return true;
      }
      taken += count;
      const batch = () => this.#onRecords(this.#reader.batch(count));
      if (this.#handlers.call('onRecords', batch, () => this.#consumed(count), this.#turn)) return true;
    }
  }

  #consumed(count: number): void {
    this.#native.consume(count);
    this.#reader.advance(count);
  }

  /** Looks for records now and then, as long as `inGuest` says so. */
  arm(inGuest: () => boolean): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#turn();
      if (inGuest()) this.arm(inGuest);
    }, FLUSH_INTERVAL).unref();
  }

  end(): void {
    if (this.#timer) clearTimeout(this.#timer);
  }
}
