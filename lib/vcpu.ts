import { type DsmProfile, defaultProfile } from './abi/dsm/profile.ts';
import { runSeconds } from './budget.ts';
import { type Duration, milliseconds } from './duration.ts';
import { DeadlineError, errnoName, IoctlError, NoMemoryError } from './errors.ts';
import { decodeExit, type Exit } from './exit.ts';
import type { NativeVcpu } from './native.ts';
import { VcpuState } from './vcpu-state.ts';
import type { Vm } from './vm.ts';

/** How long a guest may run if nobody says otherwise. */
export const DEFAULT_DEADLINE = '10s';

const ETIME = 62;

/** What one KVM_RUN came to: an exit in kvm_run, the deadline, or an errno (EAGAIN after an INIT, EINTR, EFAULT...). */
export type RunOutcome = { kind: 'exit' } | { kind: 'deadline' } | { kind: 'errno'; errno: number; name: string };

export interface RunOptions {
  /** From now; default 10 s. */
  deadline?: Duration;
  /** Whose exits 44..47 are meant; default rfc-v2. */
  profile?: DsmProfile;
}

/** A virtual CPU. */
export class Vcpu extends VcpuState {
  /** As given to KVM_CREATE_VCPU. */
  readonly vcpuId: number;
  readonly #vm: Vm;
  readonly #run: DataView;

  /** A vCPU comes from `vm.createVcpu()`. */
  constructor(native: NativeVcpu, vcpuId: number, vm: Vm) {
    super(native, `vCPU ${vcpuId}`, vm);
    this.vcpuId = vcpuId;
    this.#vm = vm;
    this.#run = new DataView(native.kvmRun);
  }

  /** The live struct kvm_run and the pages behind it, as the kernel mapped them. Throws `ClosedError`. */
  get kvmRun(): DataView {
    void this.native;
    return this.#run;
  }

  /**
   * One KVM_RUN, on this thread: the event loop waits. Tells what happened and throws for misuse alone.
   *
   * @throws NoMemoryError if the VM has no memory; ClosedError; ArgumentError for the deadline
   */
  runRaw(deadline: Duration = DEFAULT_DEADLINE): RunOutcome {
    const native = this.native;
    if (!this.#vm.hasMemory) throw new NoMemoryError(this.vcpuId);
    const result = native.run(runSeconds(milliseconds(deadline)));
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
    const ends = performance.now() + milliseconds(options.deadline ?? DEFAULT_DEADLINE);
    for (;;) {
      const left = ends - performance.now();
      const outcome: RunOutcome = left > 0 ? this.runRaw(left) : { kind: 'deadline' };
      if (outcome.kind === 'exit') return this.exit(options.profile);
      if (outcome.kind === 'deadline')
        throw new DeadlineError(`vCPU ${this.vcpuId} did not exit by its deadline`, this.#registerReport());
      if (outcome.name !== 'EAGAIN') throw new IoctlError('KVM_RUN', outcome.errno);
    }
  }

  #registerReport(): string {
    const { rip, rax, rflags } = this.getRegs();
    return `vCPU ${this.vcpuId}: rip 0x${rip.toString(16)}, rax 0x${rax.toString(16)}, rflags 0x${rflags.toString(16)}`;
  }

  /** Decodes the exit that lies in kvm_run now. */
  exit(profile: DsmProfile = defaultProfile): Exit {
    return decodeExit(this.kvmRun, profile);
  }
}
