/**
 * What public functions take of Node.js, by its shape: a program that has no types of Node.js still compiles against the
 * package's own.
 */

/** A stream that output goes to, such as `process.stdout`. */
export interface OutputStream {
  readonly writable: boolean;
  write(chunk: string | Uint8Array, done?: () => void): boolean;
  once(event: 'error' | 'close', listener: () => void): unknown;
  off(event: 'error' | 'close', listener: () => void): unknown;
}

/** A stream that input comes from, such as `process.stdin`. */
export interface InputStream {
  readonly isTTY?: boolean;
  on(event: 'data', listener: (bytes: Uint8Array) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  pause(): unknown;
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
  readonly aborted: boolean;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** A `URL` of a file. */
export interface FileUrl {
  readonly href: string;
  readonly protocol: string;
}

/** Environment variables. */
export type Environment = Record<string, string | undefined>;
