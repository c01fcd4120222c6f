/**
 * What public functions take of Node.js, by its shape: a program that has no types of Node.js still compiles against the
 * package's own.
 */

/** A stream that output goes to, such as `process.stdout`. */
export interface OutputStream {
  /** False once it has ended: nothing more is written. */
  readonly writable: boolean;
  /** Takes a chunk; `done` is called when it is out. False: it has as much as it likes to keep. */
  write(chunk: string | Uint8Array, done?: () => void): boolean;
  /** Calls a listener, once, when it breaks or closes. */
  once(event: 'error' | 'close', listener: () => void): unknown;
  /** Undoes `once`. */
  off(event: 'error' | 'close', listener: () => void): unknown;
}

/** A stream that input comes from, such as `process.stdin`. */
export interface InputStream {
  /** It is a terminal. */
  readonly isTTY?: boolean;
  /** Has a listener called for each piece of input, and at its end. */
  on(event: 'data', listener: (bytes: Uint8Array) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  /** No more input is wanted. */
  pause(): unknown;
  /** Of a terminal: true has it give every key at once, without echo. */
  setRawMode?(raw: boolean): unknown;
}

/** A socket that is connected, such as a `Socket` of `node:net`. */
export interface ConnectedSocket {
  write(text: string): boolean;
  on(event: 'data', listener: (bytes: Uint8Array) => void): unknown;
  once(event: 'close', listener: () => void): unknown;
  resume(): unknown;
}

/** An `AbortSignal`. */
export interface Abort {
  /** It has been aborted. */
  readonly aborted: boolean;
  /** Has a listener called when it is aborted. */
  addEventListener(type: 'abort', listener: () => void): void;
  /** Undoes `addEventListener`. */
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A `URL` of a file. */
export interface FileUrl {
  /** All of it: `file:///tmp/guest.bin`. */
  readonly href: string;
  /** `file:`. */
  readonly protocol: string;
}

/** Environment variables. */
export type Environment = Record<string, string | undefined>;
