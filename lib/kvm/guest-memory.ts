/** Memory of this process that a guest has as its own. */
import { checkBytes } from '../base/check.ts';
import { ArgumentError, ClosedError } from '../base/errors.ts';
import { show } from '../base/text.ts';
import { MemoryAlignmentError, MemoryRangeError, ViewSizeError } from './errors.ts';
import { createMapping, type NativeMapping, translated } from './native.ts';

/** The unit in which KVM maps guest memory on x86, in bytes. */
export const PAGE_SIZE = 4096;

/** Throws `MemoryAlignmentError` unless `value` (bytes) is a multiple of the page size. */
export function checkPageAligned(what: string, value: number | bigint): void {
  if (BigInt(value) % BigInt(PAGE_SIZE) !== 0n) throw new MemoryAlignmentError(what, value);
}

function bytesFor(length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new ViewSizeError(`${length} bytes do not fit into an ArrayBuffer`, cause);
  }
}

/**
 * Memory for a guest: zeroed, page-aligned, backed by this process only when it is touched.
 *
 * A VM that maps it holds it: it may be closed or forgotten here while guests still run in it.
 */
export class GuestMemory implements Disposable {
  #native: NativeMapping | null;
  /** Bytes. */
  readonly size: number;

  private constructor(native: NativeMapping, size: number) {
    this.#native = native;
    this.size = size;
  }

  /**
   * @param bytes a multiple of 4096, at least one page
   * @throws MemoryAlignmentError, ArgumentError; IoctlError (mmap: ENOMEM)
   */
  static allocate(bytes: number): GuestMemory {
    if (!Number.isSafeInteger(bytes) || bytes <= 0)
      throw new ArgumentError('bytes', `${show(bytes)} is not a size in bytes`, 'Give a positive multiple of 4096.');
    checkPageAligned('The memory size', bytes);
    return new GuestMemory(createMapping(bytes), bytes);
  }

  /** @internal The addon's object, for `Vm`. Throws `ClosedError`. */
  get native(): NativeMapping {
    if (!this.#native) throw new ClosedError('the guest memory');
    return this.#native;
  }

  /**
   * All of it, live: the guest's writes show here. After `close()` such a view has length 0. A buffer that was moved away
   * (`ArrayBuffer.prototype.transfer`, a byte stream) shows the memory too, and zeros once it is closed and no VM maps it.
   *
   * @throws ViewSizeError if it is larger than an ArrayBuffer can be: 4 GiB in Node.js 20; ClosedError
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffer);
  }

  /** All of it as a DataView, live, as `bytes`; x86 guests are little endian. */
  get view(): DataView {
    return new DataView(this.#buffer);
  }

  get #buffer(): ArrayBuffer {
    const { native } = this;
    return translated(() => native.buffer);
  }

  /** Copies `data` to `offset` (bytes from the start). Throws `MemoryRangeError` if it does not fit. */
  write(offset: number, data: Uint8Array): void {
    checkBytes('data', data, 0, Number.POSITIVE_INFINITY);
    this.#check(offset, data.length);
    const { native } = this;
    const own = data.buffer instanceof SharedArrayBuffer ? data.slice() : data;
    translated(() => native.write(offset, own));
  }

  /** A copy of `length` bytes at `offset`. Throws `MemoryRangeError`; ViewSizeError if there is no room for the copy. */
  read(offset: number, length: number): Uint8Array {
    this.#check(offset, length);
    const { native } = this;
    const copy = bytesFor(length);
    translated(() => native.read(offset, copy));
    return copy;
  }

  #check(offset: number, length: number): void {
    const fits =
      Number.isSafeInteger(offset) &&
      offset >= 0 &&
      Number.isSafeInteger(length) &&
      length >= 0 &&
      offset + length <= this.size;
    if (!fits) throw new MemoryRangeError(offset, length, this.size);
  }

  /** Gives the memory back once no VM maps it any more. */
  close(): void {
    this.#native?.close();
    this.#native = null;
  }

  /** Closes it: `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
