import { ioctlName } from './abi/ioctl.ts';
import { ClosedError, IoctlError } from './errors.ts';
import { type NativeHandle, translated } from './native.ts';

/** A KVM file descriptor with one owner: what `Kvm`, `Vm` and `Vcpu` have in common. */
export abstract class KvmHandle<N extends NativeHandle> implements Disposable {
  #native: N | null;
  readonly #what: string;

  protected constructor(native: N, what: string) {
    this.#native = native;
    this.#what = what;
  }

  /** The addon's object. Throws `ClosedError`. */
  protected get native(): N {
    if (!this.#native) throw new ClosedError(this.#what);
    return this.#native;
  }

  get closed(): boolean {
    return this.#native === null;
  }

  /**
   * The kernel's answer, 0 or more.
   *
   * @throws IoctlError with the errno and the request's name; ClosedError
   */
  protected ioctl(request: number, argument?: NodeJS.ArrayBufferView | number, advice?: string): number {
    const native = this.native;
    const result = translated(() => native.ioctl(request, argument));
    if (result < 0) throw new IoctlError(ioctlName(request), -result, advice ? { advice } : {});
    return result;
  }

  /** Closes the file descriptor. Any order among a VM, its vCPUs and its memory is sound; twice is once. */
  close(): void {
    this.#native?.close();
    this.#native = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
