/** The errors of checks and of the process that runs them. */
import { inspect } from 'node:util';
import { KvmDsmError } from '../base/errors.ts';

/** A check found something else than its claim says. */
export class CheckError extends KvmDsmError {
  readonly code = 'ERR_CHECK';

  constructor(message: string) {
    super(message, { advice: 'Compare with the source of the claim; --list shows it.' });
  }

  /** Both sides, for a person. */
  static differs(what: string, actual: unknown, expected: unknown): CheckError {
    return new CheckError(`${what} is ${bothBases(actual)}, expected ${bothBases(expected)}`);
  }
}

/** The process that runs checks does not come up, so that nothing can be found out. */
export class SuiteWorkerError extends KvmDsmError {
  readonly code = 'ERR_SUITE_WORKER';
  override readonly exitCode = 3;

  constructor(message: string) {
    super(message, { advice: '`kvm-dsm doctor` says what KVM can do here.' });
  }
}

/** The kernel does not count how often its lines run, or tells nobody. */
export class KernelCountersError extends KvmDsmError {
  readonly code = 'ERR_KERNEL_COUNTERS';
  override readonly exitCode = 3;

  constructor(message: string) {
    super(message, {
      advice: 'Build a kernel that does: kvm-dsm lab build --flavour gcov. It prints its path, for --kernel.',
    });
  }
}

/** What runs checks told something that it does not tell, such as a second outcome of a check: nothing of it can be believed. */
export class SuiteProtocolError extends KvmDsmError {
  readonly code = 'ERR_SUITE_PROTOCOL';

  /** @param who told it  @param what is wrong */
  constructor(who: string, what: string) {
    super(`what ${who} told of the checks cannot be so: ${what}`, {
      advice: "Does a check write to a file descriptor that is not its own, or to the kernel's log?",
    });
  }
}

/** Ends a check that finds out by itself that it cannot say anything here. Not an error of the package. */
export class Skipped extends Error {}

/** A value in words; numbers in hexadecimal as well where that is how they are written. */
function bothBases(value: unknown): string {
  if (typeof value === 'number' && Number.isInteger(value) && value > 9) return `${value} (0x${value.toString(16)})`;
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  return typeof value === 'string' ? `'${value}'` : inspect(value, { breakLength: 100, maxArrayLength: 20, depth: 4 });
}
