/** When a script is over, and what it was: as node itself sees it. */
import { Deadline } from '../base/deadline.ts';
import { DeadlineError, type KvmDsmError } from '../base/errors.ts';
import { ScriptExitError, ScriptPendingError, ScriptUnsettledError } from './errors.ts';
import type { TestFeed } from './node-test.ts';

/** An error that came outside of what the script awaits. */
export class StrayError {
  readonly error: unknown;
  readonly words: string;

  constructor(error: unknown, words: string) {
    this.error = error;
    this.words = words;
  }
}

/** What is known of a script from outside. */
export interface ScriptView {
  /** Milliseconds that it may take. */
  limit: number;
  /** What of its machines goes on, in words. */
  leftGoing(): string[];
  /** True if it has made a machine that has not run, and that is open. */
  hasIdleMachine(): boolean;
  /** Its tests, if it uses node:test. */
  feed: TestFeed | undefined;
}

const EVENTS = ['beforeExit', 'exit', 'uncaughtException', 'unhandledRejection'] as const;

const standardStreams = ['PipeWrap', 'PipeWrap', 'TTYWrap', 'TTYWrap'];

/** One run of a script, from its first line to the empty event loop. */
export class ScriptEnd {
  readonly #view: ScriptView;
  readonly #before = process.getActiveResourcesInfo();
  readonly #listeners = EVENTS.map((name) => [name, process.rawListeners(name)] as const);
  readonly #stray: Promise<never>;
  #fail: (error: unknown) => void = () => {};

  constructor(view: ScriptView) {
    this.#view = view;
    this.#stray = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    this.#stray.catch(() => {});
    process.exitCode = undefined;
    process.on('uncaughtException', this.#onUncaught);
    process.on('unhandledRejection', this.#onRejection);
  }

  /**
   * Evaluates the script and waits until nothing is left of it in the event loop.
   *
   * @throws what it threw; StrayError; DeadlineError; ScriptUnsettledError, ScriptPendingError, ScriptExitError
   */
  async wait(evaluate: () => Promise<unknown>): Promise<void> {
    let isEvaluated = false;
    const limit = new Deadline(this.#view.limit, () => this.#late());
    // The event loop is the script's: a wait of ours must not fill it.
    limit.unref();
    const keep = <T>(work: Promise<T>) => limit.keep(Promise.race([work, this.#stray]));
    try {
      const empty = this.#empty();
      const evaluated = evaluate().then(() => {
        isEvaluated = true;
      });
      await keep(Promise.race([evaluated, empty]));
      if (!isEvaluated) throw new ScriptUnsettledError();
      await keep(empty);
    } finally {
      limit.clear();
    }
    const pending = this.#view.leftGoing();
    if (pending.length > 0) throw new ScriptPendingError('The script ended', pending);
  }

  /** The script has said by itself that it failed, and has not been heard yet. */
  checkExitCode(): void {
    const { exitCode } = process;
    if (exitCode === undefined || Number(exitCode) === 0) return;
    process.exitCode = undefined;
    throw new ScriptExitError(`The script set process.exitCode to ${exitCode}`);
  }

  /** Why a call of `process.exit` in the midst of it all is a failure; undefined if it is none. */
  exited(code: number): KvmDsmError | undefined {
    if (code !== 0) return new ScriptExitError(`The script called process.exit with ${code}`);
    const pending = this.#view.leftGoing();
    if (this.#view.hasIdleMachine()) pending.push('a machine that it has made and not run');
    return pending.length > 0 ? new ScriptPendingError('The script called process.exit', pending) : undefined;
  }

  /** Takes away what the script has hung on the process, so that the next run is alone. */
  clear(): void {
    for (const [name, before] of this.#listeners)
      for (const listener of process.rawListeners(name))
        if (!before.includes(listener)) process.removeListener(name, listener as () => void);
  }

  /** Resolves when nothing is left, not even of what the script does at `beforeExit`: that is told once more then. */
  async #empty(): Promise<void> {
    for (let times = 0; times < 2; times++)
      await new Promise<void>((resolve) => void process.once('beforeExit', () => setImmediate(resolve)));
  }

  /** What the script keeps the event loop busy with. */
  #open(): string[] {
    // Standard output and error count as well if they are pipes and somebody has asked for the streams.
    const before = [...this.#before, ...standardStreams];
    return process.getActiveResourcesInfo().filter((name) => {
      const at = before.indexOf(name);
      if (at >= 0) before.splice(at, 1);
      return at < 0;
    });
  }

  #late(): DeadlineError {
    const counts = new Map<string, number>();
    for (const name of this.#open()) counts.set(name, (counts.get(name) ?? 0) + 1);
    const open = [...counts].map(([name, count]) => (count > 1 ? `${count} x ${name}` : name));
    const going = [...this.#view.leftGoing(), ...open];
    const why = going.length > 0 ? `\nIts event loop is not empty: ${going.join('; ')}` : '';
    return new DeadlineError(`The script did not end within the time that --timeout allows${why}`, '');
  }

  readonly #onUncaught = (error: unknown) => {
    // node:test, or the script itself, looks after them.
    if (this.#view.feed?.started || process.listenerCount('uncaughtException') > 1) return;
    this.#fail(new StrayError(error, 'an error that nobody caught: '));
  };

  readonly #onRejection = (reason: unknown) => {
    if (this.#view.feed?.started || process.listenerCount('unhandledRejection') > 1) return;
    const others = process.listeners('uncaughtException').filter((listener) => listener !== this.#onUncaught);
    for (const listener of others) listener(reason as Error, 'unhandledRejection');
    if (others.length === 0) this.#fail(new StrayError(reason, 'a promise was rejected and nobody handled it: '));
  };
}
