/** The state of a vCPU that runs on a thread of its own, and the one function by which it changes. No I/O: see run.ts. */

/** What the thread said last: `Phase` of the addon. `over`: it has ended, and all that it had has been handed over. */
export type ThreadState = 'guest' | 'exit' | 'paused' | 'ringFull' | 'failed' | 'ended' | 'over';

/** The exit that lies in kvm_run. `waiting`: nobody has it yet; `given`: it is being dealt with; `answered`: it has been. */
export interface HeldExit {
  readonly seq: number;
  readonly is: 'waiting' | 'given' | 'answered';
}

/**
 * Who takes exits: `onExit`; nobody (yet); a loop whose body is at work; one whose `next()` waits; one that has waited for
 * longer than its deadline.
 */
export type Reader = 'onExit' | 'nobody' | 'body' | 'next' | 'late';

export interface RunState {
  readonly thread: ThreadState;
  readonly exit: HeldExit | null;
  /** The `seq` of the exit that was given last; -1 before the first. */
  readonly given: number;
  readonly reader: Reader;
  /** What the caller wants. A stop is never taken back. */
  readonly asked: 'run' | 'pause' | 'stop';
  /** What ends the run: the first one counts. */
  readonly failure: { readonly error: unknown } | null;
}

export type RunEvent =
  /** The thread's news. `seq` is the exit's in kvm_run, if it has one (`held`) that is neither recorded nor answered. */
  | { is: 'news'; thread: Exclude<ThreadState, 'over'>; held: boolean; seq: number }
  /** Records are handed over and no handler is at work: what can be done now? */
  | { is: 'turn' }
  /** The exit has been handed over. */
  | { is: 'given' }
  /** Whoever has that exit is done with it. */
  | { is: 'answered'; seq: number }
  | { is: 'pause' }
  | { is: 'resume' }
  | { is: 'stop' }
  | { is: 'fail'; error: unknown }
  /** A loop begins; its `next()` is called; that has waited for too long; the loop is left. */
  | { is: 'loop' }
  | { is: 'next' }
  | { is: 'late' }
  | { is: 'left' }
  /** The vCPU was closed, and its thread with it. */
  | { is: 'closed' };

/**
 * What is to be done: `enter` the guest; `takeOut` of the guest, to stay out; `halt` the thread; look again
 * what can be done (`turn`); `handOver` the exit; `failLate`: make the error of an exit that did not come; `finish`.
 */
export type RunEffect = 'enter' | 'takeOut' | 'halt' | 'turn' | 'handOver' | 'failLate' | 'finish';

/** The next state, and what is to be done for it, if anything. */
type Step = readonly [RunState, RunEffect?];

/** A run that begins: its thread is on its way into the guest. */
export function begun(reader: 'onExit' | 'nobody'): RunState {
  return { thread: 'guest', exit: null, given: -1, reader, asked: 'run', failure: null };
}

/** True until the thread has ended. */
export function isAlive({ thread }: RunState): boolean {
  return thread !== 'ended' && thread !== 'over';
}

/** True while the vCPU is in the guest, or may be. */
export function isInGuest(state: RunState): boolean {
  return state.thread === 'guest' || (state.asked === 'stop' && isAlive(state));
}

/** The state after an event, and what is to be done for it. */
export function next(state: RunState, event: RunEvent): Step {
  switch (event.is) {
    case 'news':
      return news(state, event.thread, event.held && event.seq > state.given ? event.seq : null);
    case 'turn':
      return turn(state);
    case 'given': {
      const exit = state.exit && { seq: state.exit.seq, is: 'given' as const };
      const reader = state.reader === 'onExit' ? 'onExit' : 'body';
      return [{ ...state, exit, given: exit?.seq ?? state.given, reader }];
    }
    case 'answered':
      return answered(state, event.seq);
    case 'pause': {
      const paused: RunState = state.asked === 'stop' ? state : { ...state, asked: 'pause' };
      return isInGuest(state) ? [paused, 'takeOut'] : [paused];
    }
    case 'resume': {
      const wanted: RunState = state.asked === 'stop' ? state : { ...state, asked: 'run' };
      if (state.exit?.is === 'answered') return goOn(wanted);
      return state.thread === 'paused' || state.thread === 'ringFull' ? [wanted, 'turn'] : [wanted];
    }
    case 'stop':
      return stop(state);
    case 'fail': {
      const failed: RunState = { ...state, failure: state.failure ?? { error: event.error } };
      return isAlive(state) ? stop(failed) : [failed, 'turn'];
    }
    case 'loop':
      return [state.reader === 'nobody' ? { ...state, reader: 'body' } : state];
    case 'next': {
      const waits: RunState = { ...state, reader: 'next' };
      // To ask for the next exit is to have dealt with this one.
      return state.thread === 'exit' && state.exit?.is !== 'waiting' ? answered(waits, state.given) : [waits, 'turn'];
    }
    case 'late':
      if (state.reader !== 'next') return [state];
      // Nobody knows where the guest is: it is taken out first, for the report.
      return state.thread === 'guest' ? [{ ...state, reader: 'late' }, 'takeOut'] : [state, 'failLate'];
    case 'left':
      // The exit that it did not take keeps no run open that has ended.
      return [{ ...state, reader: 'nobody' }, 'turn'];
    case 'closed':
      if (state.thread === 'over') return [state];
      return [{ ...state, thread: 'ended', exit: null }, 'turn'];
  }
}

function news(state: RunState, thread: RunState['thread'], seq: number | null): Step {
  const kept = state.exit?.is === 'waiting' ? null : state.exit;
  const told: RunState = { ...state, thread, exit: seq === null ? kept : { seq, is: 'waiting' } };
  // KVM_RUN's errno becomes the failure: run.ts has it.
  return thread === 'failed' ? [told] : [told, 'turn'];
}

function turn(state: RunState): Step {
  const isWaiting = state.exit?.is === 'waiting';
  switch (state.thread) {
    case 'ended':
      // Without anybody to take it the exit stays where it is: `vcpu.exit()`.
      if (isWaiting && state.failure === null && state.reader !== 'nobody')
        return state.reader === 'body' ? [state] : [state, 'handOver'];
      return [{ ...state, thread: 'over' }, 'finish'];
    case 'exit':
      // One that meets a stop is handed over when the thread has ended: its registers can be asked for then.
      if (!isWaiting || state.asked === 'stop') return [state];
      return state.reader === 'nobody' || state.reader === 'body' ? [state] : [state, 'handOver'];
    case 'paused':
    case 'ringFull':
      return state.reader === 'late' ? [{ ...state, reader: 'next' }, 'failLate'] : goOn(state);
    default:
      return [state];
  }
}

function answered(state: RunState, seq: number): Step {
  if (state.exit?.seq !== seq || state.exit.is === 'waiting') return [state];
  const done: RunState = { ...state, exit: { seq, is: 'answered' } };
  return state.thread === 'exit' ? goOn(done) : [done];
}

/** Into the guest, unless somebody wants otherwise. */
function goOn(state: RunState): Step {
  if (state.asked !== 'run' || state.failure !== null || !isAlive(state)) return [state];
  return [{ ...state, thread: 'guest', exit: null }, 'enter'];
}

function stop(state: RunState): Step {
  if (!isAlive(state) || state.asked === 'stop') return [state];
  return [{ ...state, asked: 'stop' }, 'halt'];
}
