/** A process that runs checks, seen from outside. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Duplex, Readable, Writable } from 'node:stream';
import { LineSplitter } from '../../base/line-splitter.ts';
import { boundCommand, canBind } from '../../host/bound-process.ts';
import { threadsOf } from '../../host/threads.ts';
import { readWorkerEvent } from './events.ts';
import type { Job, WorkerEvent } from './protocol.ts';

/** How to start a process that reads a job and calls `work`. */
export interface WorkerCommand {
  command: string;
  args: readonly string[];
}

/** How much of what it prints is kept, in characters. */
const TAIL = 4000;
/** More than any event has, in characters. */
const LONGEST = 16 << 20;
/** How long a killed process may take to end, in ms: one that is stuck in the kernel never does. */
const DEATH = 5000;

/** A process that runs checks, from outside. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #events: Writable;
  #printed = '';
  #gone = false;
  /** How it ended, in words; or that it does not end. */
  readonly ended: Promise<string>;
  #giveUp: (how: string) => void = () => {};

  /** @param onEvent takes `null` for a line that is no event */
  constructor({ command, args }: WorkerCommand, job: Job, onEvent: (event: WorkerEvent | null, line: string) => void) {
    // In the lab there is no setpriv, and nothing outlives the machine.
    const start: [string, readonly string[]] = canBind() ? boundCommand(command, args) : [command, args];
    // Ctrl-C at the terminal is for us alone: it ends with us.
    this.#child = spawn(...start, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], detached: true });
    const [input, output, errors, events] = this.#child.stdio as unknown as [Writable, Readable, Readable, Duplex];
    this.#events = events;
    events.on('error', () => {}); // likewise
    input.on('error', () => {}); // it ended before it read all of it: `ended` tells
    input.end(JSON.stringify(job));
    for (const stream of [output, errors]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#printed = (this.#printed + text).slice(-TAIL);
      });
    }
    const splitter = new LineSplitter(LONGEST);
    events.on('data', (bytes: Buffer) => {
      for (const line of splitter.feed(bytes)) if (!this.#gone) onEvent(readWorkerEvent(line), line);
    });
    this.ended = new Promise<string>((resolve) => {
      this.#giveUp = resolve;
      this.#child.once('error', (error) => resolve(error.message));
      // 'close' comes when all that it told has been read.
      this.#child.once('close', (code, signal) => resolve(signal ? `signal ${signal}` : `exit code ${code}`));
    });
  }

  /** What it printed last. */
  get printed(): string {
    return this.#printed.trimEnd();
  }

  /** Where its threads are. */
  get threads(): string[] {
    return this.#child.pid === undefined ? [] : threadsOf(this.#child.pid);
  }

  /** Lets it go on after what it told. */
  go(): void {
    this.#events.write('\n');
  }

  /** Ends it. What it tells from now on is not heard. */
  kill(): void {
    this.#gone = true;
    this.#child.kill('SIGKILL');
    const timer = setTimeout(() => {
      this.#child.unref();
      for (const stream of this.#child.stdio) stream?.destroy();
      this.#giveUp('it cannot be killed: it is stuck in the kernel');
    }, DEATH);
    this.ended.then(() => clearTimeout(timer));
  }
}
