/** A vCPU on a thread of its own: what `vcpu.start()` returns. */

import { checkProfile, profileCheck } from '../../../abi/dsm/profiles.ts';
import { Deadline } from '../../../base/deadline.ts';
import { DEFAULT_DEADLINE, type Duration, milliseconds } from '../../../base/duration.ts';
import { ArgumentError, DeadlineError } from '../../../base/errors.ts';
import { duration, func, optional, shape } from '../../../base/shape.ts';
import type { Exit } from '../../../exit/exit.ts';
import type { NativeVcpu } from '../../native.ts';
import type { RunContext, RunningVcpu } from '../host.ts';
import { Controls } from './controls.ts';
import { RunDriver } from './driver.ts';
import type { ExitLog } from './exit-log.ts';
import type { StartOptionsOf, VcpuCounters, VcpuRunState } from './options.ts';
import { recordOptions } from './records.ts';
import { isAlive, isInGuest } from './state.ts';

/** How long `kick`, `pause` and `stop` wait if nobody says otherwise. */
const CONTROL_DEADLINE = '5s';

const startOptions = shape<StartOptionsOf<VcpuRunOf<RunningVcpu>>>('start() takes', {
  onExit: optional(func()),
  record: optional(recordOptions),
  deadline: optional(duration),
  profile: optional(profileCheck),
});
const endedOptions = shape<{ deadline?: Duration }>('ended() takes', { deadline: optional(duration) });
const controlOptions = shape<{ deadline?: Duration }>('kick(), pause() and stop() take', {
  deadline: optional(duration),
});

/** A vCPU on its own thread; the vCPU's front binds it to itself. */
export class VcpuRunOf<V extends RunningVcpu> implements AsyncIterable<Exit>, AsyncDisposable {
  /** Whose run it is. */
  readonly vcpu: V;
  readonly #native: NativeVcpu;
  readonly #hasHandler: boolean;
  readonly #controls: Controls;
  readonly #driver: RunDriver;

  /**
   * Use `vcpu.start()`.
   *
   * @internal
   */
  constructor(vcpu: V, native: NativeVcpu, options: StartOptionsOf<VcpuRunOf<V>>, context: RunContext, log?: ExitLog) {
    const { onExit, record, deadline = DEFAULT_DEADLINE, profile = vcpu.profile } = startOptions.take(options);
    this.vcpu = vcpu;
    this.#native = native;
    this.#hasHandler = onExit !== undefined;
    this.#controls = new Controls(vcpu.vcpuId);
    const setup = {
      profile: checkProfile(profile),
      deadline,
      onExit: onExit && ((exit: Exit) => onExit(exit, this as VcpuRunOf<RunningVcpu>)),
      record,
      log,
    };
    this.#driver = new RunDriver(vcpu, native, setup, context, this.#controls);
  }

  /** Where it is now. */
  get state(): VcpuRunState {
    const { thread, asked, exit, failure } = this.#driver.state;
    if (!this.alive) return failure ? 'failed' : 'stopped';
    if (asked === 'stop') return 'stopping';
    if (thread === 'guest') return 'running';
    return asked === 'pause' && exit?.is !== 'waiting' ? 'paused' : 'parked';
  }

  /** True while the vCPU is in the guest, or may be: its registers cannot be asked for. */
  get inGuest(): boolean {
    return isInGuest(this.#driver.state);
  }

  /** True until its thread has ended. */
  get alive(): boolean {
    return isAlive(this.#driver.state);
  }

  /** Which exit is being dealt with, counted from 0 at `start()`; -1 before the first. */
  get seq(): number {
    return this.#driver.state.given;
  }

  /** When that exit came: CLOCK_MONOTONIC in nanoseconds, as `process.hrtime` has it. */
  get ns(): number {
    return this.#driver.ns;
  }

  /** What has happened since `start()`. */
  get counters(): VcpuCounters {
    const counted = this.#native.counters() as [number, number, number, number, number, number, number];
    const [entries, exits, recorded, kicks, foreign, again, ringStops] = counted;
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
    const ms = controlLimit(options);
    const number = this.alive ? this.#native.kick() : 0;
    return number === 0 ? Promise.resolve() : this.#controls.kicked(number, ms);
  }

  /**
   * Takes the vCPU out of the guest and keeps it out until `resume()`: its registers can be read and changed. An exit
   * that it makes on its way is handed over as ever, and the vCPU waits after it. In `onExit` and in the body of
   * `for await` it is out already: this keeps it from going on afterwards.
   *
   * @param options.deadline default 5 s
   * @throws DeadlineError
   */
  pause(options: { deadline?: Duration } = {}): Promise<void> {
    const ms = controlLimit(options);
    const { inGuest } = this;
    this.#driver.happened({ is: 'pause' });
    return inGuest ? this.#controls.paused(ms) : Promise.resolve();
  }

  /** Takes a pause back. Nothing happens if there is none. */
  resume(): void {
    this.#driver.happened({ is: 'resume' });
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
    const ms = controlLimit(options);
    if (!this.alive) return Promise.resolve();
    this.askToStop();
    return this.#controls.stopped(ms);
  }

  /** As `stop()`, and does not wait. */
  askToStop(): void {
    this.#driver.happened({ is: 'stop' });
  }

  /**
   * Resolves when the run has ended and all that it had has been handed over. A failure that nobody waits for here or
   * in an iterator is an unhandled rejection.
   *
   * @param options.deadline default 10 s
   * @throws what `onExit` or `onRecords` threw; IoctlError (KVM_RUN); DeadlineError if it has not ended by then
   */
  async ended(options: { deadline?: Duration } = {}): Promise<void> {
    const ms = milliseconds(endedOptions.take(options).deadline ?? DEFAULT_DEADLINE);
    const { vcpuId } = this.vcpu;
    using deadline = new Deadline(
      ms,
      () => new DeadlineError(`The run of vCPU ${vcpuId} did not end within ${ms} ms`, ''),
    );
    await deadline.keep(this.#driver.ended);
  }

  /**
   * The exits in order. The vCPU goes on when the next one is asked for; leaving the loop early stops the run. An exit
   * that does not come within `deadline` is a DeadlineError, with the registers, and ends the run.
   */
  [Symbol.asyncIterator](): AsyncIterator<Exit, undefined> {
    if (this.#hasHandler)
      throw new ArgumentError('onExit', 'The exits of this run go to onExit', 'Use either onExit or for await.');
    this.#driver.happened({ is: 'loop' });
    this.#driver.ended.catch(() => {});
    return {
      next: () => this.#driver.next(),
      return: async () => {
        this.#driver.happened({ is: 'left' });
        await this.stop();
        return { done: true, value: undefined };
      },
    };
  }

  /** Stops it: `await using`. Throws VcpuStopError. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * The vCPU has been closed, and its thread has ended. For `Vcpu`.
   *
   * @internal
   */
  closed(): void {
    this.#controls.settle('ended', Number.POSITIVE_INFINITY);
    this.#driver.happened({ is: 'closed' });
  }
}

function controlLimit(options: { deadline?: Duration }): number {
  return milliseconds(controlOptions.take(options).deadline ?? CONTROL_DEADLINE);
}
