/** What the lab throws. */
import { type ErrorDetails, PlainError } from '../base/errors.ts';

/** The base of what the lab throws. */
export abstract class LabError extends PlainError {}

/** Programs or files that the lab needs are missing, and were not, or could not be, installed. */
export class LabPackagesError extends LabError {
  readonly code = 'ERR_LAB_PACKAGES';
  override readonly exitCode = 3;
  /** The names of the packages that have them; of what no package of this distribution is known to have, its own name. */
  readonly packages: readonly string[];

  constructor(message: string, packages: readonly string[], details: ErrorDetails) {
    super(message, details);
    this.packages = packages;
  }
}

/** A file given as a kernel does not exist, cannot be read or is no x86 bzImage. */
export class LabKernelImageError extends LabError {
  readonly code = 'ERR_LAB_KERNEL_IMAGE';
  override readonly exitCode = 2;
}

/** A source tree or a tarball given as `--kernel-src` cannot give a lab kernel. */
export class LabKernelSourceError extends LabError {
  readonly code = 'ERR_LAB_KERNEL_SOURCE';
  override readonly exitCode = 2;
}

/** What `--config` gives cannot be read, takes away what a lab kernel has to have, or is not what the tree knows. */
export class LabConfigError extends LabError {
  readonly code = 'ERR_LAB_CONFIG';
  override readonly exitCode = 2;
}

/** The lab kernel could not be built. */
export class LabBuildError extends LabError {
  readonly code = 'ERR_LAB_BUILD';
  override readonly exitCode = 3;
}

/** The disk that holds the cache has not enough room. */
export class LabSpaceError extends LabError {
  readonly code = 'ERR_LAB_SPACE';
  override readonly exitCode = 3;
}

/** A folder that the lab keeps its files or works in cannot be used. */
export class LabFolderError extends LabError {
  readonly code = 'ERR_LAB_FOLDER';
  override readonly exitCode = 3;
}

/** A variable of the environment that the lab looks at has a value that means nothing. */
export class LabSettingError extends LabError {
  readonly code = 'ERR_LAB_SETTING';
  override readonly exitCode = 2;
}

/** Another build holds the cache, so that it cannot be removed now. */
export class LabBusyError extends LabError {
  readonly code = 'ERR_LAB_BUSY';
  override readonly exitCode = 3;
}

/** The emulator is missing, cannot be used for the lane, or ended by itself. */
export class LabEmulatorError extends LabError {
  readonly code = 'ERR_LAB_EMULATOR';
  override readonly exitCode = 3;
}

/** The caller's signal ended the work. */
export class LabInterruptedError extends LabError {
  readonly code = 'ERR_LAB_INTERRUPTED';
  override readonly exitCode = 130;
}

/** What the machine's kernel said, for the errors that end a run. */
export abstract class LabMachineError extends LabError {
  /** The last lines of the machine's kernel log, oldest first. */
  readonly log: readonly string[];

  constructor(message: string, log: readonly string[], details: ErrorDetails) {
    const tail =
      log.length > 0 ? `\nThe guest's kernel log ends with:\n${log.map((line) => `  | ${line}`).join('\n')}` : '';
    super(`${message}${tail}`, details);
    this.log = log;
  }
}

/** The kernel did not reach user space, or did not offer what the lab needs there. */
export class LabBootError extends LabMachineError {
  readonly code = 'ERR_LAB_BOOT';
  override readonly exitCode = 3;
  /** Nothing but the kernel's own log can tell why. */
  readonly unexplained: boolean;

  constructor(message: string, log: readonly string[], details: ErrorDetails & { unexplained?: boolean }) {
    super(message, log, details);
    this.unexplained = details.unexplained ?? false;
  }
}

/** The machine's kernel panicked. */
export class LabPanicError extends LabMachineError {
  readonly code = 'ERR_LAB_PANIC';
  override readonly exitCode = 1;
}

/** The machine's kernel oopsed. */
export class LabOopsError extends LabMachineError {
  readonly code = 'ERR_LAB_OOPS';
  override readonly exitCode = 1;
}

/** The machine's kernel reported that it is broken, and went on. */
export class LabReportError extends LabMachineError {
  readonly code = 'ERR_LAB_REPORT';
  override readonly exitCode = 1;
}

/** The machine gives no sign of life any more. */
export class LabFrozenError extends LabMachineError {
  readonly code = 'ERR_LAB_FROZEN';
  override readonly exitCode = 1;
}

/** The machine told the host something in its init's name that init does not tell, such as a second exit code. */
export class LabMarkError extends LabMachineError {
  readonly code = 'ERR_LAB_MARK';
  override readonly exitCode = 1;
}

/** The machine powered off, reset or crashed by itself before the command inside had ended. */
export class LabStoppedError extends LabMachineError {
  readonly code = 'ERR_LAB_STOPPED';
  override readonly exitCode = 1;
}

/** The emulator itself crashed: a fault of the emulator's, whatever ran on it. */
export class LabAbortError extends LabMachineError {
  readonly code = 'ERR_LAB_ABORT';
  override readonly exitCode = 1;
}

/** The machine lives, but the command inside did not end in time. */
export class LabDeadlineError extends LabMachineError {
  readonly code = 'ERR_LAB_DEADLINE';
  override readonly exitCode = 1;
}

/** An emulator that runs as a bare machine ended by itself, or did not come to its end in time. */
export class LabBareError extends LabError {
  readonly code = 'ERR_LAB_BARE';
  override readonly exitCode = 1;

  constructor(message: string, tail: readonly string[], details: ErrorDetails) {
    super(
      [message, ...(tail.length > 0 ? ['Its last words:'] : []), ...tail.map((line) => `  | ${line}`)].join('\n'),
      details,
    );
  }
}
