import { constants } from 'node:os';

/** What every error of this package carries beside its message. */
export interface ErrorDetails {
  /** What the person can do next: one sentence. */
  advice: string;
  /** The lower-level error, if one led here. */
  cause?: unknown;
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

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.advice = details.advice;
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

  constructor(ioctl: string, errno: number, details: { what?: string; advice?: string } = {}) {
    const name = errnoName(errno);
    super(`${ioctl} failed with ${name} (errno ${errno})${details.what ? `: ${details.what}` : ''}`, {
      advice: details.advice ?? `Look up ${name} under ${ioctl} in the kernel's Documentation/virt/kvm/api.rst.`,
    });
    this.errno = errno;
    this.errnoName = name;
    this.ioctl = ioctl;
  }
}

const errnoNames = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

/** The name of a positive errno: 17 is `EEXIST`; one that this libc does not know is `errno 999`. */
export function errnoName(errno: number): string {
  return errnoNames.get(errno) ?? `errno ${errno}`;
}
