import { checkProfile, type DsmProfile } from '../../abi/dsm/profiles.ts';
import { KVM_SYNC_X86_REGS } from '../../abi/kvm/kvm-run.ts';
import { checkObject } from '../../base/check.ts';
import { DEFAULT_DEADLINE, type Duration, milliseconds } from '../../base/duration.ts';
import { errnoName } from '../../base/errno.ts';
import { DeadlineError, IoctlError } from '../../base/errors.ts';
import { decodeExit } from '../../exit/decode.ts';
import type { Exit } from '../../exit/exit.ts';
import type { NativeVcpu } from '../native.ts';
import { NoMemoryError, VcpuBusyError, VcpuStopError } from './errors.ts';
import type { VcpuHost } from './host.ts';
import { type StartOptions, VcpuRun } from './run/run.ts';
import { VcpuState } from './state.ts';

export { DEFAULT_DEADLINE };

const ETIME = 62;

/** What one KVM_RUN came to: an exit in kvm_run, the deadline, or an errno (EAGAIN after an INIT, EINTR, EFAULT...). */
export type RunOutcome = { kind: 'exit' } | { kind: 'deadline' } | { kind: 'errno'; errno: number; name: string };

export interface RunOptions {
  /** From now; default 10 s. */
  deadline?: Duration;
  /** Whose exits 44..47 are meant; default: as the KVM device was opened with. */
  profile?: DsmProfile;
}

/** A virtual CPU. */
export class Vcpu extends VcpuState {
  /** As given to KVM_CREATE_VCPU. */
  readonly vcpuId: number;
  readonly #host: VcpuHost;
  readonly #run: DataView;
  #thread: VcpuRun | null = null;

  /** A vCPU comes from `vm.createVcpu()`. */
  constructor(native: NativeVcpu, vcpuId: number, host: VcpuHost) {
    super(native, `vCPU ${vcpuId}`, host);
    this.vcpuId = vcpuId;
    this.#host = host;
    this.#run = new DataView(native.kvmRun);
  }

  /** Whose exits are meant: as the KVM device was opened with. */
  get profile(): DsmProfile {
    return this.#host.profile;
  }

  /** The live struct kvm_run and the pages behind it, as the kernel mapped them. Throws `ClosedError`. */
  get kvmRun(): DataView {
    void super.native;
    return this.#run;
  }

  /** The addon's object, for a call that needs the vCPU to be out of the guest. Throws ClosedError, VcpuBusyError. */
  protected override get native(): NativeVcpu {
    if (this.#thread?.inGuest) throw new VcpuBusyError(this.vcpuId, 'is running on its own thread');
    return super.native;
  }

  /** What the last `start()` returned; `null` before the first. */
  get thread(): VcpuRun | null {
    return this.#thread;
  }

  /**
   * Runs the guest on a thread of its own, from now until `stop()`, while the event loop goes on. It leaves the guest
   * at each exit and stays out until the exit has been dealt with: the body of `for await`, or `onExit` and its promise.
   *
   * A vCPU in the guest keeps the process alive; one that waits with an exit does not.
   *
   * @throws NoMemoryError if the VM has no memory; VcpuBusyError if it is started already; ClosedError; ArgumentError;
   *   IoctlError (pthread_create: EAGAIN)
   */
  start(options: StartOptions = {}): VcpuRun {
    this.#refuseStarted();
    const native = this.native;
    if (!this.#host.hasMemory()) throw new NoMemoryError(this.vcpuId);
    const rip = (this.#host.checkExtension('KVM_CAP_SYNC_REGS') & KVM_SYNC_X86_REGS) !== 0;
    this.#thread = new VcpuRun(this, native, options, rip, this.#host.budget);
    return this.#thread;
  }

  #refuseStarted(): void {
    if (this.#thread?.alive) throw new VcpuBusyError(this.vcpuId, 'has a thread already');
  }

  /** Ends the vCPU's thread, if it has one, and closes the file descriptor. Throws VcpuStopError after 5 s. */
  override close(): void {
    try {
      super.close();
    } catch (error) {
      throw (error as { code?: string }).code === 'ERR_VCPU_STOP' ? new VcpuStopError(this.vcpuId, 5000) : error;
    } finally {
      this.#thread?.closed();
    }
  }

  /**
   * One KVM_RUN, on this thread: the event loop waits. Tells what happened and throws for misuse alone.
   *
   * @throws NoMemoryError if the VM has no memory; VcpuBusyError if it has a thread; ClosedError; ArgumentError for the
   *   deadline
   */
  runRaw(deadline: Duration = DEFAULT_DEADLINE): RunOutcome {
    const native = this.native;
    this.#refuseStarted();
    if (!this.#host.hasMemory()) throw new NoMemoryError(this.vcpuId);
    const result = native.run(this.#host.budget.seconds(milliseconds(deadline)));
    if (result === 0) return { kind: 'exit' };
    if (result === -ETIME) return { kind: 'deadline' };
    return { kind: 'errno', errno: -result, name: errnoName(-result) };
  }

  /**
   * Runs the guest, on this thread, until it exits, and decodes the exit. KVM_RUN's EAGAIN (an AP has taken INIT or
   * SIPI) is no exit: the vCPU is entered again.
   *
   * @throws DeadlineError when the guest does not exit in time; IoctlError (KVM_RUN: EFAULT, EINVAL...); NoMemoryError
   */
  run(options: RunOptions = {}): Exit {
    const ends = performance.now() + milliseconds(checkObject('options', options).deadline ?? DEFAULT_DEADLINE);
    const profile = checkProfile(options.profile ?? this.profile);
    for (;;) {
      const left = ends - performance.now();
      const outcome: RunOutcome = left > 0 ? this.runRaw(left) : { kind: 'deadline' };
      if (outcome.kind === 'exit') return this.exit(profile);
      if (outcome.kind === 'deadline')
        throw new DeadlineError(`vCPU ${this.vcpuId} did not exit by its deadline`, this.registerReport());
      if (outcome.name !== 'EAGAIN') throw new IoctlError('KVM_RUN', outcome.errno);
    }
  }

  /** Where it is, in one line for a person. */
  registerReport(): string {
    const { rip, rax, rflags } = this.getRegs();
    return `vCPU ${this.vcpuId}: rip 0x${rip.toString(16)}, rax 0x${rax.toString(16)}, rflags 0x${rflags.toString(16)}`;
  }

  /** Decodes the exit that lies in kvm_run now. */
  exit(profile: DsmProfile = this.profile): Exit {
    return decodeExit(this.kvmRun, profile);
  }
}
