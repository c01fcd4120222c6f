import { KvmDsmError } from '../base/errors.ts';

/** A guest payload that cannot be loaded: it is empty, or larger than the room for it. */
export class PayloadError extends KvmDsmError {
  readonly code: 'ERR_PAYLOAD_EMPTY' | 'ERR_PAYLOAD_SIZE';

  private constructor(code: PayloadError['code'], message: string, advice: string) {
    super(message, { advice });
    this.code = code;
  }

  static empty(): PayloadError {
    return new PayloadError('ERR_PAYLOAD_EMPTY', 'The payload is empty', 'Give the guest at least one instruction.');
  }

  static tooLarge(bytes: number, room: number): PayloadError {
    return new PayloadError(
      'ERR_PAYLOAD_SIZE',
      `The payload has ${bytes} bytes, but there is room for ${room}`,
      'Make it smaller, or load it by hand with Vm and GuestMemory.',
    );
  }
}
