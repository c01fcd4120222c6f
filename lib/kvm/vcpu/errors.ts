import { KvmDsmError } from '../../base/errors.ts';
import { hex } from '../../base/text.ts';

/** KVM_RUN was asked for on a VM that has no memory: the guest has nothing to execute. */
export class NoMemoryError extends KvmDsmError {
  readonly code = 'ERR_NO_MEMORY';

  /** @internal */
  constructor(vcpuId: number) {
    super(`vCPU ${vcpuId} cannot run: its VM has no memory`, { advice: 'Call vm.setMemory() before run().' });
  }
}

/** A vCPU without irqchip cannot take an interrupt now: KVM_INTERRUPT would not wait, and the hardware may refuse the entry. */
export class InterruptWindowError extends KvmDsmError {
  readonly code = 'ERR_INTERRUPT_WINDOW';
  /** The vcpu_id of the vCPU that it is about. */
  readonly vcpuId: number;
  /** The vector that it was to get, 0 to 255. */
  readonly vector: number;

  /** @internal */
  constructor(vcpuId: number, vector: number, why: string) {
    super(`vCPU ${vcpuId} cannot take vector ${hex(vector)} now: ${why}`, {
      advice:
        'Call vcpu.requestInterruptWindow() and run it: KVM_EXIT_IRQ_WINDOW_OPEN tells when it can. The kit waits by itself: m.vcpu(n).interrupt().',
    });
    this.vcpuId = vcpuId;
    this.vector = vector;
  }
}

/** The vCPU has a thread of its own (`start()`) and is in the guest: the kernel would let this call wait for it. */
export class VcpuBusyError extends KvmDsmError {
  readonly code = 'ERR_VCPU_BUSY';
  /** The vcpu_id of the vCPU that it is about. */
  readonly vcpuId: number;

  /** @internal */
  constructor(vcpuId: number, what: string) {
    super(`vCPU ${vcpuId} ${what}`, {
      advice:
        'Do it while the vCPU waits: in onExit, between two exits of the iterator, after pause() or after stop().',
    });
    this.vcpuId = vcpuId;
  }
}

/** A vCPU's thread did not end by the deadline of `stop()` (5 s for `close()`): the kernel does not let it go. */
export class VcpuStopError extends KvmDsmError {
  readonly code = 'ERR_VCPU_STOP';
  /** The vcpu_id of the vCPU that it is about. */
  readonly vcpuId: number;

  /** @internal */
  constructor(vcpuId: number, ms: number) {
    super(`The thread of vCPU ${vcpuId} did not end within ${ms} ms`, {
      advice: `Look where the thread "vcpu ${vcpuId}" is: cat /proc/<pid>/task/*/{comm,stack}; or give a longer deadline.`,
    });
    this.vcpuId = vcpuId;
  }
}

/** The kernel did not read or write an MSR (KVM_GET_MSRS, KVM_SET_MSRS: it stopped there). */
export class MsrRefusedError extends KvmDsmError {
  readonly code = 'ERR_MSR_REFUSED';
  /** The one that stopped at the MSR. */
  readonly ioctl: 'KVM_GET_MSRS' | 'KVM_SET_MSRS';
  /** The number of the MSR that was refused. */
  readonly index: number;
  /** How many MSRs of the list the kernel handled before it. */
  readonly done: number;

  /** @internal */
  constructor(ioctl: MsrRefusedError['ioctl'], index: number, done: number, value?: bigint) {
    const what = value === undefined ? '' : ` = 0x${value.toString(16)}`;
    super(`${ioctl} stopped at MSR 0x${index.toString(16)}${what}, after ${done} others`, {
      advice: 'The vCPU lacks this MSR (see kvm.msrIndexList() and its CPUID), or it cannot hold that value.',
    });
    this.ioctl = ioctl;
    this.index = index;
    this.done = done;
  }
}

/** An exit lies in kvm_run that is none of what the call completes (an RDMSR answer without an RDMSR exit, say). */
export class ExitMismatchError extends KvmDsmError {
  readonly code = 'ERR_EXIT_MISMATCH';
  /** kvm_run.exit_reason. */
  readonly reason: number;

  /** @internal */
  constructor(wanted: string, reason: number) {
    super(`The vCPU's last exit is no ${wanted} (exit_reason ${reason})`, {
      advice: `Call it after run() returned ${wanted}, once.`,
    });
    this.reason = reason;
  }
}
