import { checkProfile, type DsmProfile } from '../../../abi/dsm/profiles.ts';
import type { RunBudget } from '../../../base/budget.ts';
import { checkFunction, checkObject } from '../../../base/check.ts';
import { DEFAULT_DEADLINE, type Duration, milliseconds } from '../../../base/duration.ts';
import { ArgumentError, DeadlineError, IoctlError } from '../../../base/errors.ts';
import { decodeExit } from '../../../exit/decode.ts';
import type { Exit } from '../../../exit/exit.ts';
import { type NativeVcpu, phases, translated } from '../../native.ts';
import { VcpuStopError } from '../errors.ts';
import type { Entries } from '../host.ts';
import type { Vcpu } from '../vcpu.ts';
import { type RecordOptions, RecordReader, recordPlan } from './records.ts';

export interface StartOptions {
  /**
   * Gets each exit, in order. The vCPU stays out of the guest until it returns, or until its promise resolves; kvm_run,
   * where an `in` is answered, and the registers are its own meanwhile. What it throws ends the run (see `ended()`).
   * Without it the exits come by `for await`.
   */
  onExit?: (exit: Exit, run: VcpuRun) => void | Promise<void>;
  /** Exits that the thread stores by itself, for those that need no answer and come often. */
  record?: RecordOptions;
  /** How long `for await` waits for one exit. Default 10 s. */
  deadline?: Duration;
  /** Whose exits 44..47 are meant; default: as the KVM device was opened with. */
  profile?: DsmProfile;
}

/**
 * - `running`: in the guest, or on its way
 * - `parked`: out of the guest, with an exit that has not been dealt with (or with a full ring)
 * - `paused`: out of the guest until `resume()`
 * - `stopping`: asked to end
 * - `stopped`: its thread has ended; the vCPU may be run or started again from where it is
 * - `failed`: as stopped; `ended()` rejects with the reason
 */
export type VcpuRunState = 'running' | 'parked' | 'paused' | 'stopping' | 'stopped' | 'failed';

/** What has happened since `start()`. */
export interface VcpuCounters {
  /** KVM_RUN calls. */
  entries: number;
  /** Of these, ended by an exit; each is recorded or given to onExit or the iterator. */
  exits: number;
  /** Of the exits, put into the ring. */
  recorded: number;
  /** Times that a kick, a pause or a stop was noticed; several that were asked for at once count once. */
  kicks: number;
  /** EINTR that nobody here had asked for; the guest went on. */
  foreign: number;
  /** EAGAIN: an INIT or SIPI was taken. */
  again: number;
  /** Times that a full ring made the vCPU wait. */
  ringStops: number;
}

interface Waiter {
  number: number;
  resolve: () => void;
}

interface Taker {
  resolve: (result: IteratorResult<Exit, undefined>) => void;
  reject: (error: unknown) => void;
  timer: NodeJS.Timeout | undefined;
}

/** How long `kick`, `pause` and `stop` wait if nobody says otherwise. */
const CONTROL_DEADLINE = '5s';
/** Records that are fewer than half a ring are looked for so often, in ms. */
const FLUSH_INTERVAL = 10;

/** A vCPU on its own thread: what `vcpu.start()` returns. */
export class VcpuRun implements AsyncIterable<Exit>, AsyncDisposable {
  readonly vcpu: Vcpu;
  readonly #native: NativeVcpu;
  readonly #kvmRun: DataView;
  readonly #profile: DsmProfile;
  readonly #deadline: Duration;
  readonly #budget: RunBudget;
  readonly #entries: Entries;
  readonly #onExit: StartOptions['onExit'];
  readonly #record: RecordOptions | undefined;
  readonly #records: RecordReader | null = null;
  /** Each record has RIP, which KVM_RUN leaves in kvm_run if it is asked to. */
  readonly #recordsRip: boolean;
  /** The addon holds it weakly while the vCPU waits, so that a run which everybody forgot is collected. */
  readonly #onNews: (...news: [number, number, number, boolean, number, number]) => void;

  #phase: number = phases.running;
  #held = false;
  #seq = -1;
  #ns = 0;
  #delivered = -1;
  /** A handler has the exit, or a batch. */
  #handling = false;
  /** The exit has been dealt with; only a pause keeps the vCPU from going on. */
  #ready = false;
  #pauseAsked = false;
  #stopAsked = false;
  #iterated = false;
  #failure: { error: unknown } | null = null;
  #kicks: Waiter[] = [];
  #pauses: Waiter[] = [];
  #stops: Waiter[] = [];
  #taker: Taker | null = null;
  #late = false;
  #flush: NodeJS.Timeout | null = null;
  #finished = false;
  readonly #ended: Promise<void>;
  #settle!: { resolve: () => void; reject: (error: unknown) => void };

  /** Use `vcpu.start()`. */
  constructor(
    vcpu: Vcpu,
    native: NativeVcpu,
    options: StartOptions,
    rip: boolean,
    budget: RunBudget,
    entries: Entries,
  ) {
    checkObject('options', options);
    if (options.onExit !== undefined) checkFunction('onExit', options.onExit);
    if (options.record !== undefined) checkObject('record', options.record);
    this.vcpu = vcpu;
    this.#budget = budget;
    this.#entries = entries;
    this.#native = native;
    this.#kvmRun = vcpu.kvmRun;
    this.#profile = checkProfile(options.profile ?? vcpu.profile);
    this.#deadline = options.deadline ?? DEFAULT_DEADLINE;
    milliseconds(this.#deadline);
    this.#onExit = options.onExit;
    this.#record = options.record;
    this.#recordsRip = options.record !== undefined && rip;
    const plan = options.record ? recordPlan(options.record, this.#profile, rip) : null;
    this.#ended = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#onNews = (...news) => this.#news(...news);
    entries.entering();
    const ring = translated(() => native.start(this.#onNews, { vcpuId: vcpu.vcpuId, record: plan }));
    if (plan && ring) this.#records = new RecordReader(ring, plan, this.#profile);
    this.#armFlush();
  }

  get state(): VcpuRunState {
    if (this.#phase === phases.ended) return this.#failure ? 'failed' : 'stopped';
    if (this.#stopAsked) return 'stopping';
    if (this.#phase === phases.running) return 'running';
    const waits = this.#held && !this.#ready;
    return this.#pauseAsked && !waits ? 'paused' : 'parked';
  }

  /** True while the vCPU is in the guest, or may be: its registers cannot be asked for. */
  get inGuest(): boolean {
    return this.#phase === phases.running || (this.#stopAsked && this.alive);
  }

  /** True until its thread has ended. */
  get alive(): boolean {
    return this.#phase !== phases.ended;
  }

  /** Which exit is being dealt with, counted from 0 at `start()`; -1 before the first. */
  get seq(): number {
    return this.#delivered;
  }

  /** When that exit came: CLOCK_MONOTONIC in nanoseconds, as `process.hrtime` has it. */
  get ns(): number {
    return this.#ns;
  }

  get counters(): VcpuCounters {
    const [entries, exits, recorded, kicks, foreign, again, ringStops] = this.#native.counters() as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return { entries, exits, recorded, kicks, foreign, again, ringStops };
  }

  /**
   * Takes the vCPU out of the guest once, wherever it is (running, blocked in HLT, about to enter), and lets it go on:
   * KVM sees then what user space has changed. Resolves when the vCPU has been out since this call; at once if it is
   * out now, or has ended.
   *
   * @param options.deadline default 5 s
   * @throws DeadlineError
   */
  kick(options: { deadline?: Duration } = {}): Promise<void> {
    const limit = milliseconds(checkObject('options', options).deadline ?? CONTROL_DEADLINE);
    const number = this.alive ? this.#native.kick() : 0;
    return number === 0 ? Promise.resolve() : this.#wait(this.#kicks, number, limit, 'was not kicked out of the guest');
  }

  /**
   * Takes the vCPU out of the guest and keeps it out until `resume()`: its registers can be read and changed. An exit
   * that it makes on its way is handed over as ever, and the vCPU waits behind it. In `onExit` and in the body of
   * `for await` it is out already: this keeps it from going on afterwards.
   *
   * @param options.deadline default 5 s
   * @throws DeadlineError
   */
  pause(options: { deadline?: Duration } = {}): Promise<void> {
    const limit = milliseconds(checkObject('options', options).deadline ?? CONTROL_DEADLINE);
    this.#pauseAsked = true;
    if (!this.inGuest) return Promise.resolve();
    this.#native.pause();
    return this.#wait(this.#pauses, 0, limit, 'was not taken out of the guest');
  }

  /** Takes a pause back. Nothing happens if there is none. */
  resume(): void {
    this.#pauseAsked = false;
    if (this.#phase === phases.paused || this.#ready) this.#goOn();
  }

  /**
   * Ends the run: out of the guest, and the thread ends. The vCPU stays as it is, and can be run or started again. In
   * the middle of an exit (in `onExit`, in the body of `for await`) that exit is left as it is: KVM completes it when
   * the vCPU is entered again. Resolves when the thread has ended.
   *
   * @param options.deadline default 5 s
   * @throws VcpuStopError, which names the vCPU
   */
  stop(options: { deadline?: Duration } = {}): Promise<void> {
    const limit = milliseconds(checkObject('options', options).deadline ?? CONTROL_DEADLINE);
    if (!this.alive) return Promise.resolve();
    this.askToStop();
    return this.#wait(this.#stops, 0, limit, null);
  }

  /** As `stop()`, and does not wait. */
  askToStop(): void {
    if (!this.alive || this.#stopAsked) return;
    this.#stopAsked = true;
    this.#native.halt();
  }

  /**
   * Resolves when the run has ended and all that it had has been handed over. A failure that nobody waits for here or
   * in an iterator is an unhandled rejection.
   *
   * @param options.deadline default 10 s
   * @throws what `onExit` or `onRecords` threw; IoctlError (KVM_RUN); DeadlineError if it has not ended by then
   */
  async ended(options: { deadline?: Duration } = {}): Promise<void> {
    const ms = milliseconds(checkObject('options', options).deadline ?? DEFAULT_DEADLINE);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new DeadlineError(`The run of vCPU ${this.vcpu.vcpuId} did not end within ${ms} ms`, '')),
        ms,
      );
    });
    try {
      await Promise.race([this.#ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The exits in order. The vCPU goes on when the next one is asked for; leaving the loop early stops the run. An exit
   * that does not come within `deadline` is a DeadlineError, with the registers, and ends the run.
   */
  [Symbol.asyncIterator](): AsyncIterator<Exit, undefined> {
    if (this.#onExit)
      throw new ArgumentError('onExit', 'The exits of this run go to onExit', 'Use either onExit or for await.');
    this.#iterated = true;
    this.#ended.catch(() => {});
    return {
      next: () => this.#take(),
      return: async () => {
        this.#iterated = false;
        await this.stop();
        return { done: true, value: undefined };
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** The vCPU has been closed, and its thread has ended. For `Vcpu`. */
  closed(): void {
    if (this.#finished) return;
    this.#held = false;
    this.#phase = phases.ended;
    this.#settleControls(Number.POSITIVE_INFINITY);
    this.#work();
  }

  #news(phase: number, errno: number, acked: number, held: boolean, seq: number, ns: number): void {
    this.#phase = phase;
    this.#held = held && seq > this.#delivered;
    if (this.#held) {
      // One that found no room in the ring is told of again.
      if (seq !== this.#seq) this.#entries.exited(ns);
      this.#seq = seq;
      this.#ns = ns;
      this.#ready = false;
    }
    this.#settleControls(acked);
    if (phase === phases.failed) {
      this.#fail(new IoctlError('KVM_RUN', errno, { what: `vCPU ${this.vcpu.vcpuId} cannot go on` }));
      return;
    }
    this.#work();
  }

  /** Does what can be done now: hand over records, then the exit; go on; finish. Comes back when a handler is done. */
  #work(): void {
    if (this.#handling || this.#finished) return;
    if (!this.#failure && this.#drain()) return;
    switch (this.#phase) {
      case phases.ended:
        // Without anybody to take it the exit stays where it is: `vcpu.exit()`.
        if (this.#held && !this.#failure && (this.#onExit || this.#iterated) && this.#handOver()) return;
        this.#finish();
        return;
      case phases.exit:
        // One that meets a stop is handed over when the thread has ended: its registers can be asked for then.
        if (!this.#held || this.#stopAsked) return;
        // The handler may have closed the vCPU.
        if (!this.#handOver() && !this.alive) this.#finish();
        return;
      case phases.ringFull:
      case phases.paused:
        if (this.#late) this.#failLate();
        else this.#goOn();
        return;
    }
  }

  /** True if a handler is at work, or has failed, or other work of the process gets its turn before the rest. */
  #drain(): boolean {
    const records = this.#records;
    if (!records) return false;
    for (let taken = 0; ; ) {
      const count = this.#native.recordsReady();
      if (count === 0) return false;
      // A guest that is faster than its handler would never let this end.
      if (taken >= records.capacity && this.#phase === phases.running) {
        setImmediate(() => this.#work());
        return true;
      }
      taken += count;
      const done = () => {
        this.#native.consume(count);
        records.advance(count);
      };
      if (this.#call(() => this.#record!.onRecords(records.batch(count)), done)) return true;
    }
  }

  /** Gives the exit in kvm_run away. True if that is not done yet. */
  #handOver(): boolean {
    const onExit = this.#onExit;
    const exit = () => {
      this.#held = false;
      this.#delivered = this.#seq;
      return decodeExit(this.#kvmRun, this.#profile);
    };
    if (onExit) {
      const seq = this.#seq;
      return this.#call(
        () => onExit(exit(), this),
        () => {
          if (seq === this.#seq) this.#answered();
        },
      );
    }
    if (!this.#taker) return true;
    const { resolve, timer } = this.#taker;
    clearTimeout(timer);
    this.#taker = null;
    this.#late = false;
    resolve({ done: false, value: exit() });
    return false;
  }

  /** Calls a handler. True if its promise is pending, or if it has thrown: then `done` is called later, or never. */
  #call(handler: () => void | Promise<void>, done: () => void): boolean {
    this.#handling = true;
    let result: void | Promise<void>;
    try {
      result = handler();
    } catch (error) {
      this.#handling = false;
      this.#fail(error);
      return true;
    }
    if (result === undefined) {
      this.#handling = false;
      done();
      return false;
    }
    Promise.resolve(result).then(
      () => {
        this.#handling = false;
        done();
        this.#work();
      },
      (error) => {
        this.#handling = false;
        this.#fail(error);
      },
    );
    return true;
  }

  #answered(): void {
    this.#ready = true;
    if (this.#phase === phases.exit) this.#goOn();
  }

  #goOn(): void {
    if (this.#pauseAsked || this.#stopAsked || this.#failure || !this.alive) return;
    this.#ready = false;
    this.#phase = phases.running;
    this.#entries.entering(this.#recordsRip);
    this.#native.resume();
    this.#armFlush();
  }

  #armFlush(): void {
    if (!this.#records || this.#flush) return;
    this.#flush = setTimeout(() => {
      this.#flush = null;
      this.#work();
      if (this.#phase === phases.running) this.#armFlush();
    }, FLUSH_INTERVAL).unref();
  }

  #take(): Promise<IteratorResult<Exit, undefined>> {
    if (this.#taker)
      throw new ArgumentError('next', 'next() was called while it waits for an exit', 'Await each exit in turn.');
    if (this.#finished)
      return this.#failure ? Promise.reject(this.#failure.error) : Promise.resolve({ done: true, value: undefined });
    const ms = Math.min(milliseconds(this.#deadline), this.#budget.left);
    return new Promise((resolve, reject) => {
      this.#taker = { resolve, reject, timer: setTimeout(() => this.#overdue(), ms) };
      if (this.#phase === phases.exit && !this.#held) this.#answered();
      else this.#work();
    });
  }

  /** Nobody knows yet where the guest is: it is taken out first, for the report. */
  #overdue(): void {
    this.#late = true;
    if (this.#phase === phases.running) this.#native.pause();
    else this.#failLate();
  }

  #failLate(): void {
    this.#late = false;
    const why = this.#pauseAsked ? ': it is paused' : '';
    const report = this.inGuest ? '' : this.vcpu.registerReport();
    this.#fail(new DeadlineError(`vCPU ${this.vcpu.vcpuId} did not exit by its deadline${why}`, report));
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    if (this.alive) this.askToStop();
    else this.#work();
  }

  #finish(): void {
    this.#finished = true;
    if (this.#flush) clearTimeout(this.#flush);
    const failure = this.#failure;
    const taker = this.#taker;
    this.#taker = null;
    clearTimeout(taker?.timer);
    if (failure) {
      this.#settle.reject(failure.error);
      if (taker) taker.reject(failure.error);
    } else {
      this.#settle.resolve();
      taker?.resolve({ done: true, value: undefined });
    }
  }

  #wait(waiters: Waiter[], number: number, ms: number, what: string | null): Promise<void> {
    const { vcpuId } = this.vcpu;
    return new Promise((resolve, reject) => {
      const late = () => {
        const at = waiters.indexOf(waiter);
        if (at < 0) return;
        waiters.splice(at, 1);
        reject(
          what === null
            ? new VcpuStopError(vcpuId, ms)
            : new DeadlineError(`vCPU ${vcpuId} ${what} within ${ms} ms`, ''),
        );
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

  #settleControls(acked: number): void {
    while (this.#kicks.length > 0 && this.#kicks[0]!.number <= acked) this.#kicks.shift()!.resolve();
    if (this.#phase !== phases.running) for (const { resolve } of this.#pauses.splice(0)) resolve();
    if (this.#phase === phases.ended) for (const { resolve } of this.#stops.splice(0)) resolve();
  }
}
