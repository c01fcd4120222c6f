/** KVM_RUN on the caller's thread: once, until an exit, or without the guest (settle). */
import { type DsmProfile, profileCheck } from '../../abi/dsm/profiles.ts';
import { exitReasons } from '../../abi/kvm/exit-reason.ts';
import { DEFAULT_DEADLINE, type Duration, milliseconds } from '../../base/duration.ts';
import { EAGAIN, EINTR, ETIME, errnoName } from '../../base/errno.ts';
import { DeadlineError, IoctlError } from '../../base/errors.ts';
import { duration, optional, shape } from '../../base/shape.ts';
import { decodeExit } from '../../exit/decode.ts';
import type { Exit } from '../../exit/exit.ts';
import { deskNumbers, nativeCalls, translate, translated } from '../native.ts';
import type { Entries, OpenVcpu, VcpuHost } from './host.ts';
import type { ExitLog } from './run/exit-log.ts';

/** What one KVM_RUN came to: an exit in kvm_run, the deadline, or an errno (EAGAIN after an INIT, EINTR, EFAULT...). */
export type RunOutcome =
  | {
      /** It left the guest: `vcpu.exit()` decodes what lies in kvm_run. */
      kind: 'exit';
    }
  | {
      /** The guest did not leave in time. */
      kind: 'deadline';
    }
  | {
      /** KVM_RUN failed. */
      kind: 'errno';
      /** Positive. */
      errno: number;
      /** Such as `EAGAIN`. */
      name: string;
    };

/** What `vcpu.run()` takes. */
export interface RunOptions {
  /** From now; default 10 s. */
  deadline?: Duration;
  /** Whose exits 44..48 are meant; default: as the KVM device was opened with. */
  profile?: DsmProfile;
}

const runOptions = shape<RunOptions>('run() takes', { deadline: optional(duration), profile: optional(profileCheck) });

const EXIT: RunOutcome = Object.freeze({ kind: 'exit' });
const DEADLINE: RunOutcome = Object.freeze({ kind: 'deadline' });
const DEFAULT_MS = milliseconds(DEFAULT_DEADLINE);

/** A vCPU's entries into its guest on this thread. */
export class Entry {
  readonly #vcpu: OpenVcpu;
  readonly #host: VcpuHost;
  readonly #entries: Entries;
  readonly #desk: Float64Array;
  readonly #number: number;
  readonly #enter = nativeCalls().enter;
  readonly #report: () => string;

  /**
   * @param desk the numbers of the vCPU's desk
   * @param number the vCPU's, for the addon
   * @param report where the vCPU is, for a person
   */
  constructor(
    vcpu: OpenVcpu,
    host: VcpuHost,
    entries: Entries,
    desk: Float64Array,
    number: number,
    report: () => string,
  ) {
    this.#vcpu = vcpu;
    this.#host = host;
    this.#entries = entries;
    this.#desk = desk;
    this.#number = number;
    this.#report = report;
    desk[deskNumbers.endsNs] = host.budget.endsNs;
  }

  runRaw(deadline: Duration): RunOutcome {
    const result = this.#run(milliseconds(deadline), 0);
    if (result === 0) return EXIT;
    if (result === -ETIME) return DEADLINE;
    return { kind: 'errno', errno: -result, name: errnoName(-result) };
  }

  runInto(log: ExitLog, deadline: Duration, most: number): RunOutcome {
    const native = this.#vcpu.runnable();
    this.#desk[deskNumbers.seconds] = milliseconds(deadline) / 1000;
    this.#entries.entering(true);
    const result = translated(() => native.runInto(log.native, this.#vcpu.vcpuId, most));
    if (result === 0) {
      this.#entries.exited(this.#desk[deskNumbers.stampNs]!);
      return EXIT;
    }
    if (result === -ETIME) return DEADLINE;
    return { kind: 'errno', errno: -result, name: errnoName(-result) };
  }

  run(options?: RunOptions): Exit {
    let ms = DEFAULT_MS;
    let { profile } = this.#host;
    if (options !== undefined) {
      const given = runOptions.take(options);
      if (given.deadline !== undefined) ms = milliseconds(given.deadline);
      if (given.profile !== undefined) profile = given.profile;
    }
    const result = this.#run(ms, 1);
    if (result === 0) return decodeExit(this.#vcpu.run(), profile);
    if (result === -ETIME)
      throw new DeadlineError(`vCPU ${this.#vcpu.vcpuId} did not exit by its deadline`, this.#report());
    throw new IoctlError('KVM_RUN', -result);
  }

  /** What the addon's `enter` gives. On the way of every exit: no call here makes an object. */
  #run(ms: number, again: 0 | 1): number {
    this.#vcpu.runnable();
    const desk = this.#desk;
    desk[deskNumbers.seconds] = ms / 1000;
    desk[deskNumbers.again] = again;
    this.#entries.entering();
    const enter = this.#enter;
    let result: number;
    try {
      result = enter(this.#number);
    } catch (error) {
      throw translate(error);
    }
    if (result === 0) this.#entries.exited(desk[deskNumbers.stampNs]!);
    return result;
  }

  settle(): boolean {
    const { native } = this.#vcpu;
    this.#entries.entering();
    const result = translated(() => native.settle());
    if (result === 0) {
      // The addon stamps what `run` came back with, and this was no run.
      this.#entries.exited(Number(process.hrtime.bigint()));
      // A vCPU that takes an INIT, or whose interrupt window is open, says so each time: nothing is lost with it.
      const { exitReason } = this.#vcpu.run();
      return exitReason !== exitReasons.KVM_EXIT_INTR && exitReason !== exitReasons.KVM_EXIT_IRQ_WINDOW_OPEN;
    }
    if (result === -EINTR || result === -EAGAIN) return false;
    throw new IoctlError('KVM_RUN', -result);
  }
}
