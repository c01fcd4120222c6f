/** `--trace <file>`: the file, written as the run goes on. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { EnvironmentError } from '../base/errors.ts';

/** The file cannot be written. */
export class TraceFileError extends EnvironmentError {
  readonly code = 'ERR_TRACE_FILE';

  constructor(path: string, cause: Error) {
    super(`The trace could not be written to ${path}: ${cause.message}`, {
      cause,
      advice: 'Name another file, or make room there. What stands in it already can be read.',
    });
  }
}

/** So much is held back at most, in characters. */
const MOST_HELD = 1 << 16;

/**
 * Each line is in the file soon after it came, and whole lines alone are written at a time: whatever ends the process, the
 * file can be read up to the last one.
 */
export class TraceFile {
  readonly #path: string;
  readonly #fd: number;
  #held: string[] = [];
  #length = 0;
  #failure: TraceFileError | undefined;
  #isTurn = false;

  /** @param append to what another process of the same run has written @throws TraceFileError */
  constructor(path: string, append = false) {
    this.#path = path;
    try {
      this.#fd = openSync(path, append ? 'a' : 'w');
    } catch (error) {
      throw new TraceFileError(path, error as Error);
    }
  }

  /** Does not throw: the run goes on, and its end tells. */
  write(line: string): void {
    this.#held.push(line, '\n');
    this.#length += line.length;
    if (this.#length >= MOST_HELD) this.flush();
    else if (!this.#isTurn) {
      this.#isTurn = true;
      setImmediate(() => this.flush());
    }
  }

  flush(): void {
    this.#isTurn = false;
    const bytes = Buffer.from(this.#held.join(''));
    this.#held = [];
    this.#length = 0;
    try {
      for (let at = 0; at < bytes.length && !this.#failure; ) at += writeSync(this.#fd, bytes, at);
    } catch (error) {
      this.#failure = new TraceFileError(this.#path, error as Error);
    }
  }

  /** @throws TraceFileError if not all of it could be written */
  close(): void {
    this.flush();
    closeSync(this.#fd);
    if (this.#failure) throw this.#failure;
  }
}
