import { constants } from 'node:os';
import { show } from './text.ts';

/** What every error of this package carries beside its message. */
export interface ErrorDetails {
  /** What the person can do next: one sentence. */
  advice: string;
  /** The lower-level error, if one led here. */
  cause?: unknown;
  /** What stood where when it happened. */
  failure?: Failure | string;
}

/** What an error knows of guests, beside its message: text for people, data for programs. */
export interface Failure {
  /** Why it happened, the most certain first. */
  readonly causes: readonly string[];
  /** Lines for a person. */
  toString(): string;
  /** The same for a program. */
  toJSON(): Record<string, unknown>;
}

/**
 * The base of every error that this package throws on purpose.
 *
 * `code` is stable: a script may compare it. `message` is for people and may change.
 */
export abstract class KvmDsmError extends Error {
  /** Stable name of the cause, `ERR_...`. */
  abstract readonly code: string;
  /** What to do next. */
  readonly advice: string;
  /** What the `kvm-dsm` command ends with when this error ends it: 1 fail, 2 usage, 3 environment not usable. */
  readonly exitCode: number = 1;
  /** What stood where when it happened, of those that concern a guest; a string if that is a few words only. */
  declare readonly failure?: Failure | string;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.advice = details.advice;
    if (details.failure) this.failure = details.failure;
  }

  /** `failure` as lines for a person: registers and more. Empty if there is nothing to show. */
  get report(): string {
    return String(this.failure ?? '');
  }
}

/** An argument was refused before any system call was made. */
export class ArgumentError extends KvmDsmError {
  readonly code = 'ERR_ARGUMENT';
  /** The argument's name, as the called function spells it. */
  readonly argument: string;

  constructor(argument: string, message: string, advice: string) {
    super(message, { advice });
    this.argument = argument;
  }
}

/** The object was used after `close()`. */
export class ClosedError extends KvmDsmError {
  readonly code = 'ERR_CLOSED';

  constructor(what: string) {
    super(`${what} is closed`, { advice: `Use ${what} before close(), or before the end of its \`using\` block.` });
  }
}

/** A system call on a KVM object failed; `errno` and `ioctl` say which and how. */
export class IoctlError extends KvmDsmError {
  readonly code: string = 'ERR_IOCTL';
  /** The positive errno. */
  readonly errno: number;
  /** The errno's name, such as `EEXIST`. */
  readonly errnoName: string;
  /** The kernel's name of the ioctl (or the system call), such as `KVM_CREATE_VCPU`. */
  readonly ioctl: string;

  constructor(ioctl: string, errno: number, details: { what?: string; advice?: string; failure?: Failure } = {}) {
    const name = errnoName(errno);
    super(`${ioctl} failed with ${name} (errno ${errno})${details.what ? `: ${details.what}` : ''}`, {
      advice: details.advice ?? `Look up ${name} under ${ioctl} in the kernel's Documentation/virt/kvm/api.rst.`,
      ...(details.failure && { failure: details.failure }),
    });
    this.errno = errno;
    this.errnoName = name;
    this.ioctl = ioctl;
  }
}

// Two pairs share a number: the kernel calls them EAGAIN and EOPNOTSUPP.
const { EWOULDBLOCK: _, ENOTSUP: __, ...kernelErrnos } = constants.errno;
const errnoNames = new Map(Object.entries(kernelErrnos).map(([name, value]) => [value, name]));

/** The name of a positive errno: 17 is `EEXIST`; one that this libc does not know is `errno 999`. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${show(errno)}`;
}

/** An error that comes from where the program runs, not from what it asked. */
abstract class EnvironmentError extends KvmDsmError {
  override readonly exitCode = 3;
}

/** The addon could not be loaded. */
export class NativeLoadError extends EnvironmentError {
  readonly code = 'ERR_NATIVE_LOAD';

  constructor(root: string, checkout: boolean, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`The native addon of kvm-dsm could not be loaded from ${root}: ${why}`, {
      advice: checkout
        ? 'Build it: `npm run build:native` (needs cmake, make and a C++ compiler).'
        : 'kvm-dsm ships prebuilt addons for x64 Linux with glibc; elsewhere install from a checkout.',
      cause,
    });
  }
}

/** There is no KVM device at the path (`open`: ENOENT, ENODEV, ENXIO). */
export class DeviceMissingError extends EnvironmentError {
  readonly code = 'ERR_DEVICE_MISSING';

  constructor(path: string, cause: unknown) {
    super(`There is no KVM device at ${path}`, {
      advice:
        'Load kvm_intel or kvm_amd (and enable virtualization in the firmware), or use the lab: `--on vmx` needs no KVM.',
      cause,
    });
  }
}

/** The KVM device may not be opened (`open`: EACCES, EPERM). */
export class DevicePermissionError extends EnvironmentError {
  readonly code = 'ERR_DEVICE_PERMISSION';

  constructor(path: string, cause: unknown) {
    super(`No permission to open ${path} for reading and writing`, {
      advice: `Join the device's group (\`sudo usermod -aG kvm $USER\`, then log in again), or use the lab: \`--on vmx\`.`,
      cause,
    });
  }
}

/** The file is no KVM device: it does not answer 12 to KVM_GET_API_VERSION, as every KVM since Linux 2.6.22 does. */
export class NotKvmError extends EnvironmentError {
  readonly code = 'ERR_NOT_KVM';

  /** @param answer the number that it gave instead, or the error */
  constructor(path: string, answer: unknown) {
    const what = typeof answer === 'number' ? `it answers ${answer}, not 12, to` : 'it does not answer';
    super(`${path} is not a KVM device: ${what} KVM_GET_API_VERSION`, {
      advice: 'Give the path of a KVM device with --device; it is /dev/kvm on nearly every machine.',
      ...(typeof answer === 'number' ? {} : { cause: answer }),
    });
  }
}

/** The kernel or the machine lacks what was asked for. */
export class UnsupportedError extends EnvironmentError {
  readonly code = 'ERR_UNSUPPORTED';
  /** The kernel's name of what is missing, such as `KVM_CAP_SPLIT_IRQCHIP`. */
  readonly missing: string;
  /** What a kernel has to be built with to have it, such as `CONFIG_KVM_HYPERV`; `null` where nobody said. */
  readonly kconfig: string | null;

  constructor(missing: string, what: string, kconfig: string | null = null, details: Partial<ErrorDetails> = {}) {
    const built = kconfig === null ? '' : `, which needs ${kconfig}`;
    super(`${what} is not supported here: the kernel does not offer ${missing}${built}`, {
      advice:
        kconfig === null
          ? '`kvm-dsm doctor` lists what this kernel offers.'
          : `Use a kernel that is built with ${kconfig}=y; the lab's is: \`--on vmx\` or \`--on svm\`.`,
      ...details,
    });
    this.missing = missing;
    this.kconfig = kconfig;
  }
}

/** An ioctl of another architecture: here its number means something else, or nothing. It was not made. */
export class ArchitectureError extends EnvironmentError {
  readonly code = 'ERR_ARCHITECTURE';
  readonly ioctl: string;
  /** The ioctl's number, which is another's here. */
  readonly request: number;
  /** Where the ioctl means what was asked for, as `process.arch` spells it. */
  readonly architecture: string;

  constructor(ioctl: string, request: number, architecture: string) {
    super(
      `${ioctl} (0x${request.toString(16)}) is an ioctl of ${architecture}, and this is ${process.arch}, where its number is not its own: it was not made`,
      {
        advice: `Do it on an ${architecture} host. On x86 interrupts go to a vCPU by vm.signalMsi(), vm.assignIrqfd() or vm.dsmIpi().`,
      },
    );
    this.ioctl = ioctl;
    this.request = request;
    this.architecture = architecture;
  }
}

/** The kernel's own documentation says that the ioctl may lose interrupts: it was not made. */
export class InterruptLossError extends KvmDsmError {
  readonly code = 'ERR_INTERRUPT_LOSS';
  readonly ioctl: string;
  readonly vcpuId: number;

  constructor(ioctl: string, vcpuId: number) {
    super(`${ioctl} may lose interrupts that are pending for vCPU ${vcpuId}`, {
      advice: 'Leave it as it is; or see that nothing is pending and nothing can come, and give `insist: true`.',
    });
    this.ioctl = ioctl;
    this.vcpuId = vcpuId;
  }
}

/** A memory slot would overlap another one in guest physical memory. */
export class MemoryOverlapError extends KvmDsmError {
  readonly code = 'ERR_MEMORY_OVERLAP';

  constructor(slot: number, other: number, range: string) {
    super(`Memory slot ${slot} (${range}) overlaps slot ${other}`, {
      advice: 'Give it another guest physical address, or remove the other slot first.',
    });
  }
}

/** An address, offset or size of guest memory is not a multiple of 4096 bytes. */
export class MemoryAlignmentError extends KvmDsmError {
  readonly code = 'ERR_MEMORY_ALIGNMENT';

  constructor(what: string, value: number | bigint) {
    super(`${what} 0x${value.toString(16)} is not a multiple of 4096 bytes`, {
      advice: 'KVM maps guest memory in pages of 4096 bytes: round it.',
    });
  }
}

/** A read or write that would leave guest memory. */
export class MemoryRangeError extends KvmDsmError {
  readonly code = 'ERR_MEMORY_RANGE';

  constructor(offset: number, bytes: number, size: number) {
    super(
      `${show(bytes)} bytes at offset ${typeof offset === 'number' ? `0x${offset.toString(16)}` : show(offset)} do not lie within the ${size} bytes of guest memory`,
      {
        advice: 'Use a smaller offset, or allocate more guest memory.',
      },
    );
  }
}

/** The VM has a vCPU of that vcpu_id already (KVM_CREATE_VCPU: EEXIST). */
export class VcpuExistsError extends KvmDsmError {
  readonly code = 'ERR_VCPU_EXISTS';

  constructor(vcpuId: number) {
    super(`The VM has a vCPU with vcpu_id ${vcpuId} already`, { advice: 'Use each vcpu_id once per VM.' });
  }
}

/** The vcpu_id is beyond what the kernel allows (KVM_CAP_MAX_VCPU_ID). */
export class VcpuIdError extends KvmDsmError {
  readonly code = 'ERR_VCPU_ID';

  constructor(vcpuId: number, limit: number) {
    super(`vcpu_id ${show(vcpuId)} is not an integer from 0 to ${limit - 1}, the range that this kernel allows`, {
      advice: 'Choose a lower vcpu_id.',
    });
  }
}

/** KVM_RUN was asked for on a VM that has no memory: the guest has nothing to execute. */
export class NoMemoryError extends KvmDsmError {
  readonly code = 'ERR_NO_MEMORY';

  constructor(vcpuId: number) {
    super(`vCPU ${vcpuId} cannot run: its VM has no memory`, { advice: 'Call vm.setMemory() before run().' });
  }
}

/** The vCPU has a thread of its own (`start()`) and is in the guest: the kernel would let this call wait for it. */
export class VcpuBusyError extends KvmDsmError {
  readonly code = 'ERR_VCPU_BUSY';
  readonly vcpuId: number;

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
  readonly vcpuId: number;

  constructor(vcpuId: number, ms: number) {
    super(`The thread of vCPU ${vcpuId} did not end within ${ms} ms`, {
      advice: `Look where the thread "vcpu ${vcpuId}" is: cat /proc/<pid>/task/*/{comm,stack}; or give a longer deadline.`,
    });
    this.vcpuId = vcpuId;
  }
}

/** The guest did not come to what was waited for by its deadline. */
export class DeadlineError extends KvmDsmError {
  readonly code = 'ERR_DEADLINE';
  /** True if an exit that the kernel did not make would have ended the wait. */
  readonly waitedForExits: boolean;

  constructor(what: string, failure: Failure | string, waitedForExits = false) {
    super(what, { advice: 'If the guest needs longer, give a longer deadline or --timeout.', failure });
    this.waitedForExits = waitedForExits;
  }
}

/** A guest payload that cannot be loaded: it is empty, or larger than the room for it. */
export class PayloadError extends KvmDsmError {
  readonly code: 'ERR_PAYLOAD_EMPTY' | 'ERR_PAYLOAD_SIZE';

  private constructor(code: PayloadError['code'], message: string, advice: string) {
    super(message, { advice });
    this.code = code;
  }

  static empty(): PayloadError {
    return new PayloadError('ERR_PAYLOAD_EMPTY', 'The payload is empty', 'Give the guest at least one instruction.');
  }

  static tooLarge(bytes: number, room: number): PayloadError {
    return new PayloadError(
      'ERR_PAYLOAD_SIZE',
      `The payload has ${bytes} bytes, but there is room for ${room}`,
      'Make it smaller, or load it by hand with Vm and GuestMemory.',
    );
  }
}

/** `ioctlRaw` with a request that makes or carries an address or a file descriptor, or runs a guest. */
export class RefusedIoctlError extends KvmDsmError {
  readonly code = 'ERR_IOCTL_REFUSED';

  constructor(message: string) {
    super(message, { advice: 'Call the typed method for this request: docs/kvm-api.md lists them.' });
  }
}

/** The kernel did not read or write an MSR (KVM_GET_MSRS, KVM_SET_MSRS: it stopped there). */
export class MsrRefusedError extends KvmDsmError {
  readonly code = 'ERR_MSR_REFUSED';
  readonly ioctl: 'KVM_GET_MSRS' | 'KVM_SET_MSRS';
  /** The number of the MSR that was refused. */
  readonly index: number;
  /** How many MSRs of the list the kernel handled before it. */
  readonly done: number;

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

/** The VM has no in-kernel interrupt controller to do that with (ENXIO, EINVAL or ENODEV of the ioctl). */
export class NoIrqchipError extends IoctlError {
  override readonly code = 'ERR_NO_IRQCHIP';

  constructor(ioctl: string, errno: number) {
    super(ioctl, errno, {
      what: 'the VM lacks the in-kernel interrupt controller that it needs',
      advice: 'Call vm.createIrqchip() (or enableSplitIrqchip(), where local APICs are enough) before createVcpu().',
    });
  }
}

/** VFIO signals the IRQ (an eventfd is set for it), and only while it does not can its forwarding change: EBUSY. */
export class IrqSignaledError extends IoctlError {
  override readonly code = 'ERR_IRQ_SIGNALED';

  constructor(ioctl: string, errno: number, irq: string) {
    super(ioctl, errno, {
      what: `VFIO signals ${irq}`,
      advice: 'Call disableIrqs() of the VFIO device first; signal it again behind forwardIrq() or unforwardIrq().',
    });
  }
}

/** A call about a vCPU that the VM does not have. */
export class NoVcpuError extends KvmDsmError {
  readonly code = 'ERR_NO_VCPU';
  readonly vcpuId: number;

  constructor(vcpuId: number, ids: readonly number[]) {
    super(`The VM has no vCPU with vcpu_id ${vcpuId}`, {
      advice: ids.length === 0 ? 'Call createVcpu() first.' : `Its vCPUs are ${ids.join(', ')}.`,
    });
    this.vcpuId = vcpuId;
  }
}

/** The vCPU has no local APIC in the kernel, and the call writes to one. */
export class NoLapicError extends KvmDsmError {
  readonly code = 'ERR_NO_LAPIC';
  readonly vcpuId: number;

  constructor(vcpuId: number) {
    super(`vCPU ${vcpuId} has no local APIC in the kernel`, {
      advice: 'Call vm.createIrqchip() (or enableSplitIrqchip()) before createVcpu().',
    });
    this.vcpuId = vcpuId;
  }
}

/** A write to replay that the kernel would lose, or deliver elsewhere, without a word: it was not asked to. */
export class ReplayRefusedError extends KvmDsmError {
  readonly code = 'ERR_REPLAY_REFUSED';
  readonly ioctl: string;

  constructor(ioctl: string, what: string, advice: string) {
    super(`${ioctl} would go wrong: ${what}`, { advice });
    this.ioctl = ioctl;
  }
}

/** The kernel said that it replayed a write, and did not. */
export class ReplayLostError extends KvmDsmError {
  readonly code = 'ERR_REPLAY_LOST';
  readonly ioctl: string;

  constructor(ioctl: string, what: string) {
    super(`${ioctl} answered 0 and did nothing: ${what}`, {
      advice: "Give a value that this vCPU's guest could write; `host: true` allows every change of mode.",
    });
    this.ioctl = ioctl;
  }
}

/** An exit lies in kvm_run that is none of what the call completes (an RDMSR answer without an RDMSR exit, say). */
export class ExitMismatchError extends KvmDsmError {
  readonly code = 'ERR_EXIT_MISMATCH';
  /** kvm_run.exit_reason. */
  readonly reason: number;

  constructor(wanted: string, reason: number) {
    super(`The vCPU's last exit is no ${wanted} (exit_reason ${reason})`, {
      advice: `Call it after run() returned ${wanted}, once.`,
    });
    this.reason = reason;
  }
}

/** A saved machine state that cannot be one: too short, a wrong checksum, contents that contradict each other. */
export class StateFormatError extends KvmDsmError {
  readonly code = 'ERR_STATE_FORMAT';

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

  constructor(version: number, supported: number) {
    super(`The saved machine state has version ${version}; this package reads version ${supported}`, {
      advice: 'Save it again with this version of kvm-dsm.',
    });
  }
}

/** A machine state that does not fit where it is to be restored: the VM is in use, or the host lacks something. */
export class StateMismatchError extends KvmDsmError {
  readonly code = 'ERR_STATE_MISMATCH';

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
  readonly vcpuId: number;
  /** kvm_run.exit_reason; the exit itself lies in the vCPU's kvm_run: `vcpu.exit()` decodes it. */
  readonly reason: number;

  constructor(vcpuId: number, name: string, reason: number) {
    super(`vCPU ${vcpuId} had an exit pending: ${name} (exit_reason ${reason})`, {
      advice: 'Handle it (vcpu.exit() decodes it), then do this again.',
    });
    this.vcpuId = vcpuId;
    this.reason = reason;
  }
}
