/** The base of Kvm, Vm and Vcpu: one file descriptor, its ioctls and its end. */
import { ioctlName } from '../abi/kvm/ioctl.ts';
import { checkInteger } from '../base/check.ts';
import { ArgumentError, ClosedError, IoctlError } from '../base/errors.ts';
import { type NativeHandle, translated } from './native.ts';

/** What the parts of a front ask the kernel by: the calls of its file descriptor. */
export interface KernelCalls<N extends NativeHandle> {
  /** The addon's object. Throws ClosedError; of a vCPU that is in the guest VcpuBusyError. */
  readonly native: N;
  /** The kernel's answer, 0 or more. Throws IoctlError with the errno and the request's name; ClosedError. */
  ioctl(request: number, argument?: ArrayBufferView | number, advice?: string): number;
  /** What a request of `size` bytes gives back. */
  read(request: number, size: number): Uint8Array<ArrayBuffer>;
  /** The same, by a method of the addon that makes the request. Throws IoctlError; ClosedError. */
  call(request: number, ask: (native: N) => number, advice?: string): number;
}

/** include/linux/err.h: what the kernel means by an error. A negative answer below is none. */
const MAX_ERRNO = 4095;

/** A KVM file descriptor with one owner: what `Kvm`, `Vm` and `Vcpu` have in common. */
export abstract class KvmHandle<N extends NativeHandle> implements Disposable {
  #native: N | null;
  readonly #what: string;

  protected constructor(native: N, what: string) {
    this.#native = native;
    this.#what = what;
  }

  /** @internal The addon's object. Throws `ClosedError`. */
  protected get native(): N {
    if (!this.#native) throw new ClosedError(this.#what);
    return this.#native;
  }

  /** True after `close()`: every other call then throws a ClosedError. */
  get closed(): boolean {
    return this.#native === null;
  }

  /** @internal The kernel's answer, 0 or more. Throws IoctlError with the errno and the request's name; ClosedError. */
  protected ioctl(request: number, argument?: ArrayBufferView | number, advice?: string): number {
    return this.call(request, (native) => native.ioctl(request, argument), advice);
  }

  /** @internal The same of a request that a method of the addon makes. */
  protected call(request: number, ask: (native: N) => number, advice?: string): number {
    const native = this.native;
    return this.answered(
      request,
      translated(() => ask(native)),
      advice,
    );
  }

  /** @internal The kernel's answer, if it is none of its errors. */
  protected answered(request: number, result: number, advice?: string): number {
    if (result < 0 && result >= -MAX_ERRNO)
      throw new IoctlError(this.requestName(request), -result, advice ? { advice } : {});
    return result;
  }

  /** @internal A request's name for a message. */
  protected requestName(request: number): string {
    return ioctlName(request);
  }

  /** @internal What a request of `size` bytes gives back. */
  protected read(request: number, size: number): Uint8Array<ArrayBuffer> {
    const buffer = new Uint8Array(size);
    this.ioctl(request, buffer);
    return buffer;
  }

  /** @internal The calls above, for the parts of the front. */
  protected get calls(): KernelCalls<N> {
    const handle = this;
    return {
      get native() {
        return handle.native;
      },
      ioctl: (request, argument, advice) => this.ioctl(request, argument, advice),
      read: (request, size) => this.read(request, size),
      call: (request, ask, advice) => this.call(request, ask, advice),
    };
  }

  /**
   * An ioctl that has no method here: the kernel's answer, 0 or more.
   *
   * The buffer has exactly the bytes that the request's number encodes; for the structs that end in an array (MSR, CPUID
   * and routing lists, PMU event filters), those and as many entries as their count says. The kernel may change it.
   *
   * @param request the 32-bit number, of `ioctls`, a DSM profile's `requests`, or made by `_IOW` and its like
   * @param argument a buffer, or an integer from 0 to 2^53-1 for a request that encodes no size
   * @throws RefusedIoctlError for a request that is not KVM's, makes or carries an address or a file descriptor, or runs
   *   a guest; ArgumentError for a buffer of the wrong size; IoctlError; ClosedError
   */
  ioctlRaw(request: number, argument?: ArrayBufferView | number): number {
    checkInteger('request', request, 0, 0xffff_ffff);
    if (typeof argument === 'number') checkInteger('argument', argument, 0, Number.MAX_SAFE_INTEGER);
    else if (argument !== undefined && (!ArrayBuffer.isView(argument) || argument.buffer instanceof SharedArrayBuffer))
      throw new ArgumentError(
        'argument',
        'argument is neither an integer nor a buffer of this thread',
        'Give a Uint8Array or another view of an ArrayBuffer.',
      );
    return this.ioctl(request, argument);
  }

  /** Closes the file descriptor. Any order among a VM, its vCPUs and its memory is sound; twice is once. */
  close(): void {
    const native = this.#native;
    // First: what throws here is closed all the same.
    this.#native = null;
    native?.close();
  }

  /** Closes it: `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
