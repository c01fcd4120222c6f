import { KvmDsmError } from '../base/errors.ts';
import type { Format } from './formats.ts';

/** A guest payload that cannot be loaded: it is empty, larger than the room for it, or a file of another kind. */
export class PayloadError extends KvmDsmError {
  readonly code: 'ERR_PAYLOAD_EMPTY' | 'ERR_PAYLOAD_SIZE' | 'ERR_PAYLOAD_FORMAT';

  private constructor(code: PayloadError['code'], message: string, advice: string) {
    super(message, { advice });
    this.code = code;
  }

  /** @internal */
  static empty(): PayloadError {
    return new PayloadError('ERR_PAYLOAD_EMPTY', 'The payload is empty', 'Give the guest at least one instruction.');
  }

  /** @internal `of`: for people, the path of a file */
  static format({ name, advice }: Format, of?: string): PayloadError {
    return new PayloadError(
      'ERR_PAYLOAD_FORMAT',
      `${of ?? 'The payload'} is ${name}, no flat machine code`,
      `${advice} To run these bytes as instructions all the same, interpolate them: asm.flat32(...) with the bytes on a line of their own.`,
    );
  }

  /** @internal */
  static tooLarge(bytes: number, room: number): PayloadError {
    return new PayloadError(
      'ERR_PAYLOAD_SIZE',
      `The payload has ${bytes} bytes, but there is room for ${room}`,
      'Make it smaller, or load it by hand with Vm and GuestMemory.',
    );
  }
}
