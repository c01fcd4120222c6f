/** What goes wrong with a saved machine. */
import { KvmDsmError } from '../base/errors.ts';

/** A saved machine state that cannot be one: too short, a wrong checksum, contents that contradict each other. */
export class StateFormatError extends KvmDsmError {
  readonly code = 'ERR_STATE_FORMAT';

  /** @internal */
  constructor(what: string, cause?: unknown) {
    super(`The saved machine state is malformed: ${what}`, {
      advice: 'Save it again; nothing of it was restored.',
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

/** A saved machine state of a version that this package does not read. */
export class StateVersionError extends KvmDsmError {
  readonly code = 'ERR_STATE_VERSION';

  /** @internal */
  constructor(version: number, supported: string) {
    super(`The saved machine state has version ${version}; this package reads versions ${supported}`, {
      advice: 'Save it again with this version of kvm-dsm.',
    });
  }
}

/** A machine state that does not fit where it is to be restored: the VM is in use, or the host lacks something. */
export class StateMismatchError extends KvmDsmError {
  readonly code = 'ERR_STATE_MISMATCH';

  /** @internal */
  constructor(what: string, advice: string, cause?: unknown) {
    super(`The machine state cannot be restored here: ${what}`, {
      advice,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

/**
 * A save, or a new program for a machine's vCPU, found an exit that the caller has not seen yet: it is in no KVM_GET_*, so
 * that going on would lose it.
 */
export class PendingExitError extends KvmDsmError {
  readonly code = 'ERR_PENDING_EXIT';
  /** The vcpu_id of the vCPU whose exit it is. */
  readonly vcpuId: number;
  /** kvm_run.exit_reason; the exit itself lies in the vCPU's kvm_run: `vcpu.exit()` decodes it. */
  readonly reason: number;

  /** @internal */
  constructor(vcpuId: number, name: string, reason: number) {
    super(`vCPU ${vcpuId} had an exit pending: ${name} (exit_reason ${reason})`, {
      advice: 'Handle it (vcpu.exit() decodes it), then do this again.',
    });
    this.vcpuId = vcpuId;
    this.reason = reason;
  }
}
