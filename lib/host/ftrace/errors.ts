import { ArgumentError, EnvironmentError } from '../../base/errors.ts';

/** The kernel's own events cannot be had here. */
export class KernelEventsError extends EnvironmentError {
  readonly code = 'ERR_KERNEL_EVENTS';

  constructor(why: string, advice: string, cause?: unknown) {
    super(`The kernel's own events cannot be recorded: ${why}`, { advice, cause });
  }
}

/** This kernel has no event of that name, or cannot set that probe. */
export function unknownEvent(word: string, why: string): ArgumentError {
  return new ArgumentError(
    '--kernel-events',
    `--kernel-events ${word}: ${why}`,
    'Name others: /sys/kernel/tracing/available_events has all of a kernel; interrupts means those of KVM that concern interrupts.',
  );
}
