/** Calls of the hot path: what they take and give lies in memory that a handle shares with the addon. */
import { DESK_ARGUMENT, DESK_ROOM, type NativeDesk, translate } from './native.ts';

/** A handle's desk, and the ioctls whose arguments lie on it. */
export class Desk {
  /** `deskNumbers`. */
  readonly numbers: Float64Array;
  /** An ioctl's argument. Each writes all bytes that the kernel reads: the one before has left its own. */
  readonly argument: DataView;
  readonly #handle: number;
  readonly #ask: (handle: number, request: number) => number;

  constructor({ desk, number }: NativeDesk, ask: (handle: number, request: number) => number) {
    this.numbers = new Float64Array(desk, 0, DESK_ARGUMENT / 8);
    this.argument = new DataView(desk, DESK_ARGUMENT, DESK_ROOM);
    this.#handle = number;
    this.#ask = ask;
  }

  /** The kernel's answer, or the errno negated. */
  ask(request: number): number {
    const ask = this.#ask;
    try {
      return ask(this.#handle, request);
    } catch (error) {
      throw translate(error);
    }
  }

  /** What a function of the addon answers that is made for one request. */
  call(send: (handle: number) => number): number {
    try {
      return send(this.#handle);
    } catch (error) {
      throw translate(error);
    }
  }
}

/** What the parts of a VM or a vCPU ask by its desk. */
export interface DeskCalls {
  /** Where the argument of `ask` lies, and what it gives. */
  readonly argument: DataView;
  /** The kernel's answer, 0 or more, to a request of a fixed size. Throws as `ioctl` does. Makes no object. */
  ask(request: number): number;
}

/** Puts a whole argument onto the desk. False, and nothing is done, if it is not as long as the request's number says. */
export function putArgument(desk: DataView, request: number, argument: Uint8Array): boolean {
  const size = (request >>> 16) & 0x3fff;
  if (argument.length !== size || size > desk.byteLength) return false;
  for (let at = 0; at < size; at++) desk.setUint8(at, argument[at]!);
  return true;
}
