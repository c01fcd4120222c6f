/** How a script may end that is no end of its own. */
import { KvmDsmError } from '../base/errors.ts';

/** The script waits for something that nothing can bring any more. */
export class ScriptUnsettledError extends KvmDsmError {
  readonly code = 'ERR_SCRIPT_UNSETTLED';

  constructor() {
    super('The script waits at its top level, and nothing is left in the event loop that could end the wait', {
      advice: 'Look for a promise that nobody resolves. Plain node ends with exit code 13 here.',
    });
  }
}

/** The script ended while something of its machines went on. */
export class ScriptPendingError extends KvmDsmError {
  readonly code = 'ERR_SCRIPT_PENDING';

  constructor(when: string, pending: readonly string[]) {
    super(`${when}, and left something going on: ${pending.join('; ')}`, {
      advice: 'Await each run, and stop each vCPU that was started, or close its machine.',
    });
  }
}

/** The script itself said that it failed: by `process.exit`, or by `process.exitCode`. */
export class ScriptExitError extends KvmDsmError {
  readonly code = 'ERR_SCRIPT_EXIT';

  constructor(how: string) {
    super(how, { advice: 'The script chose that: see why. An error that is thrown tells more.' });
  }
}

/** The process of the script ended without a word: a signal, an abort of node. */
export class ScriptLostError extends KvmDsmError {
  readonly code = 'ERR_SCRIPT_LOST';

  constructor(how: string) {
    super(`The process of the script ended and told no result: ${how}`, {
      advice: 'Something killed it: the script itself, the system for want of memory, or a fault in node or an addon.',
    });
  }
}

/** `kvm-dsm explore --schedules` has run a script that explores nothing. */
export class NothingExploredError extends KvmDsmError {
  readonly code = 'ERR_NOTHING_EXPLORED';

  constructor() {
    super('The script ran no schedule', {
      advice: 'Let it call m.explore(programs, invariant), and await that; `kvm-dsm run` runs any other script.',
    });
  }
}
