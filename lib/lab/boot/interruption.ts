/** What ends a run from outside: an abort, or a signal, which then ends this process as it would have, unless somebody else listens to it. */
import type { Abort } from '../../base/node-shapes.ts';
import { LabInterruptedError } from '../errors.ts';

const deadly: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** Catches both while a run goes on. */
export class Interruption {
  readonly #signal: Abort | undefined;
  #machine: { kill(): void } | undefined;
  #caught: NodeJS.Signals | undefined;

  constructor(signal: Abort | undefined) {
    this.#signal = signal;
    signal?.addEventListener('abort', this.#stop);
    for (const name of deadly) process.on(name, this.#catch);
  }

  /** The machine that is to be ended. */
  watch(machine: { kill(): void }): void {
    this.#machine = machine;
    if (this.came) machine.kill();
  }

  /** True if one has come. */
  get came(): boolean {
    return this.#caught !== undefined || this.#signal?.aborted === true;
  }

  /** Throws if an interruption has come. */
  check(): void {
    if (!this.came) return;
    throw new LabInterruptedError(`interrupted${this.#caught ? ` by ${this.#caught}` : ''}`, {
      advice: 'Run it again.',
    });
  }

  done(): void {
    this.#signal?.removeEventListener('abort', this.#stop);
    for (const name of deadly) process.off(name, this.#catch);
    // Who else listens has heard it, and decides.
    if (this.#caught && process.listenerCount(this.#caught) === 0) process.kill(process.pid, this.#caught);
  }

  #stop = () => this.#machine?.kill();

  #catch = (name: NodeJS.Signals) => {
    this.#caught = name;
    this.#stop();
  };
}
