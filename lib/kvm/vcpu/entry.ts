/** KVM_RUN on the caller's thread: once, until an exit, or without the guest (settle). */
import { type DsmProfile, profileCheck } from '../../abi/dsm/profiles.ts';
import { exitReasons } from '../../abi/kvm/exit-reason.ts';
import { DEFAULT_DEADLINE, type Duration, milliseconds } from '../../base/duration.ts';
import { EAGAIN, EINTR, ETIME, errnoName } from '../../base/errno.ts';
import { DeadlineError, IoctlError } from '../../base/errors.ts';
import { duration, optional, shape } from '../../base/shape.ts';
import { decodeExit } from '../../exit/decode.ts';
import type { Exit } from '../../exit/exit.ts';
import { translated } from '../native.ts';
import type { Entries, OpenVcpu, VcpuHost } from './host.ts';

/** What one KVM_RUN came to: an exit in kvm_run, the deadline, or an errno (EAGAIN after an INIT, EINTR, EFAULT...). */
export type RunOutcome = { kind: 'exit' } | { kind: 'deadline' } | { kind: 'errno'; errno: number; name: string };

export interface RunOptions {
  /** From now; default 10 s. */
  deadline?: Duration;
  /** Whose exits 44..48 are meant; default: as the KVM device was opened with. */
  profile?: DsmProfile;
}

const runOptions = shape<RunOptions>('run() takes', { deadline: optional(duration), profile: optional(profileCheck) });

/** A vCPU's entries into its guest on this thread. */
export class Entry {
  readonly #vcpu: OpenVcpu;
  readonly #host: VcpuHost;
  readonly #entries: Entries;
  readonly #stamp: Float64Array;
  readonly #report: () => string;

  /**
   * @param stamp where the addon puts the time of an exit
   * @param report where the vCPU is, for a person
   */
  constructor(vcpu: OpenVcpu, host: VcpuHost, entries: Entries, stamp: Float64Array, report: () => string) {
    this.#vcpu = vcpu;
    this.#host = host;
    this.#entries = entries;
    this.#stamp = stamp;
    this.#report = report;
  }

  runRaw(deadline: Duration): RunOutcome {
    const native = this.#vcpu.runnable();
    const seconds = this.#host.budget.seconds(milliseconds(deadline));
    this.#entries.entering();
    const result = translated(() => native.run(seconds));
    if (result === 0) {
      this.#entries.exited(this.#stamp[0]!);
      return { kind: 'exit' };
    }
    if (result === -ETIME) return { kind: 'deadline' };
    return { kind: 'errno', errno: -result, name: errnoName(-result) };
  }

  run(options: RunOptions): Exit {
    const { deadline = DEFAULT_DEADLINE, profile = this.#host.profile } = runOptions.take(options);
    const ends = performance.now() + milliseconds(deadline);
    for (;;) {
      const left = ends - performance.now();
      const outcome: RunOutcome = left > 0 ? this.runRaw(left) : { kind: 'deadline' };
      if (outcome.kind === 'exit') return decodeExit(this.#vcpu.run(), profile);
      if (outcome.kind === 'deadline')
        throw new DeadlineError(`vCPU ${this.#vcpu.vcpuId} did not exit by its deadline`, this.#report());
      if (outcome.name !== 'EAGAIN') throw new IoctlError('KVM_RUN', outcome.errno);
    }
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
