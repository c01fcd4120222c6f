/** Memory of this process that a guest has as its own. */
import { checkBytes } from '../base/check.ts';
import { ArgumentError, ClosedError } from '../base/errors.ts';
import { show } from '../base/text.ts';
import { MemoryAlignmentError, MemoryRangeError } from './errors.ts';
import { createMapping, type NativeMapping } from './native.ts';

/** The unit in which KVM maps guest memory on x86, in bytes. */
export const PAGE_SIZE = 4096;

/** Throws `MemoryAlignmentError` unless `value` (bytes) is a multiple of the page size. */
export function checkPageAligned(what: string, value: number | bigint): void {
  if (BigInt(value) % BigInt(PAGE_SIZE) !== 0n) throw new MemoryAlignmentError(what, value);
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

  /** All of it, live: the guest's writes show here. After `close()` such a view has length 0. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.native.buffer);
  }

  /** All of it as a DataView, live; x86 guests are little endian. */
  get view(): DataView {
    return new DataView(this.native.buffer);
  }

  /** Copies `data` to `offset` (bytes from the start). Throws `MemoryRangeError` if it does not fit. */
  write(offset: number, data: Uint8Array): void {
    checkBytes('data', data, 0, Number.POSITIVE_INFINITY);
    this.#check(offset, data.length);
    // One that is empty may be detached: then it cannot be read.
    const { bytes } = this;
    if (data.length > 0) bytes.set(data, offset);
  }

  /** A copy of `length` bytes at `offset`. Throws `MemoryRangeError`. */
  read(offset: number, length: number): Uint8Array {
    this.#check(offset, length);
    return this.bytes.slice(offset, offset + length);
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

  [Symbol.dispose](): void {
    this.close();
  }
}
