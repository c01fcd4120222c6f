import { errnoName } from './errno.ts';
import { ioctlCauses } from './ioctl-causes.ts';
import { printableLines } from './text.ts';

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

  protected constructor(message: string, details: ErrorDetails) {
    // It may quote what a guest or a kernel wrote.
    super(printableLines(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.advice = details.advice;
    if (details.failure) this.failure = details.failure;
  }

  /** `failure` as lines for a person: registers and more. Empty if there is nothing to show. */
  get report(): string {
    return String(this.failure ?? '');
  }
}

/** An error that knows no more than its message and its advice, which are written where it is thrown. */
export abstract class PlainError extends KvmDsmError {
  constructor(message: string, details: ErrorDetails) {
    super(message, details);
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

  /** @param during the call, `run()` say, that was going on when it was closed */
  constructor(what: string, during?: string) {
    super(during === undefined ? `${what} is closed` : `${what} was closed while its ${during} was going on`, {
      advice:
        during === undefined
          ? `Use ${what} before close(), or before the end of its \`using\` block.`
          : `Write \`await\` before ${during}: nobody waited for it, and the end of a \`using\` block closes.`,
    });
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

  /** @internal */
  constructor(ioctl: string, errno: number, details: { what?: string; advice?: string; failure?: Failure } = {}) {
    const name = errnoName(errno);
    super(`${ioctl} failed with ${name} (errno ${errno})${details.what ? `: ${details.what}` : ''}`, {
      advice: details.advice ?? adviceOf(ioctl, name),
      ...(details.failure && { failure: details.failure }),
    });
    this.errno = errno;
    this.errnoName = name;
    this.ioctl = ioctl;
  }
}

function adviceOf(ioctl: string, errno: string): string {
  const causes = ioctlCauses(ioctl, errno);
  if (causes.length === 0) return `Look up ${errno} under ${ioctl} in the kernel's Documentation/virt/kvm/api.rst.`;
  if (causes.length === 1) return `${ioctl} says ${errno} because ${causes[0]}.`;
  return `${ioctl} says ${errno} for one of these: ${causes.join('; ')}.`;
}

/** An error that comes from where the program runs, not from what it asked. */
export abstract class EnvironmentError extends KvmDsmError {
  override readonly exitCode = 3;

  /** @internal */
  constructor(message: string, details: ErrorDetails) {
    super(message, details);
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
