import { KvmDsmError } from '../errors.ts';

/** What came out of the guest is not what the script expected. */
export class ExpectationError extends KvmDsmError {
  readonly code = 'ERR_EXPECTATION';
  /** The kinds of exit that were compared. */
  readonly kinds: readonly string[];
  /** How many exits of these kinds came. */
  readonly seen: number;

  constructor(message: string, kinds: readonly string[], seen: number) {
    super(message, { advice: 'Compare the two lists; the trace holds every exit.' });
    this.kinds = kinds;
    this.seen = seen;
  }
}

/** The guest cannot go on: triple fault, failed entry, or an instruction that KVM cannot emulate. */
export class GuestFailureError extends KvmDsmError {
  readonly code = 'ERR_GUEST_FAILURE';
  /** Registers and more, as lines for a person. */
  readonly report: string;

  constructor(message: string, report: string) {
    super(message, {
      advice: 'Look at the instruction at RIP and at the state that it needs (IDT, stack, mapped memory).',
    });
    this.report = report;
  }
}
