/** What goes wrong with schedules. */
import { type Failure, KvmDsmError } from '../base/errors.ts';

/** Under some schedule an invariant does not hold: `schedule` gives it again. */
export class InvariantError extends KvmDsmError {
  readonly code = 'ERR_INVARIANT';
  /** Who took each step: a character for each, `0` for vCPU 0. */
  readonly schedule: string;
  /** How many schedules were run until it was found, itself included. */
  readonly schedules: number;

  /** @internal */
  constructor(message: string, what: Pick<InvariantError, 'schedule' | 'schedules' | 'cause'>, failure: Failure) {
    super(message, {
      advice: `It comes again with { schedule: '${what.schedule}' }, or: kvm-dsm explore --schedules <script> --schedule ${what.schedule}`,
      failure,
      ...(what.cause === undefined ? {} : { cause: what.cause }),
    });
    this.schedule = what.schedule;
    this.schedules = what.schedules;
  }
}

/** A schedule that cannot be: it names a vCPU that could not go on then, or is over too early. */
export class ScheduleError extends KvmDsmError {
  readonly code = 'ERR_SCHEDULE';
  override readonly exitCode = 2;
  /** The step, from 1, at which it does not fit. */
  readonly step: number;

  /** @internal */
  constructor(step: number, message: string, advice: string) {
    super(message, { advice });
    this.step = step;
  }
}

/** A schedule has no end: some vCPU goes round in a loop. */
export class ScheduleLengthError extends KvmDsmError {
  readonly code = 'ERR_SCHEDULE_LENGTH';

  /** @internal */
  constructor(longest: number, why = `A schedule has more than ${longest} steps`) {
    super(why, {
      advice:
        'A vCPU that waits for another one by a loop has schedules without end: let it sleep in hlt, or give a higher `longest` and random schedules.',
    });
  }
}
