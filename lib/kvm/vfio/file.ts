import { ClosedError } from '../../base/errors.ts';
import { systemCallError } from '../limit.ts';
import { type NativeVfioFile, translated } from '../native.ts';

/** An open file of VFIO's: a container, a group or a device. Source: Documentation/driver-api/vfio.rst. */
export abstract class VfioFile implements Disposable {
  #native: NativeVfioFile | null;
  readonly #what: string;

  protected constructor(native: NativeVfioFile, what: string) {
    this.#native = native;
    this.#what = what;
  }

  /** @internal The addon's object, for KVM's VFIO device. Throws `ClosedError`. */
  get native(): NativeVfioFile {
    if (!this.#native) throw new ClosedError(this.#what);
    return this.#native;
  }

  /** True after `close()`: every other call then throws a ClosedError. */
  get closed(): boolean {
    return this.#native === null;
  }

  /** @internal The kernel's number, 0 or more. Throws IoctlError; ClosedError. */
  protected ask(ioctl: string, call: (native: NativeVfioFile) => number): number {
    const native = this.native;
    const result = translated(() => call(native));
    if (result < 0) throw systemCallError(ioctl, -result);
    return result;
  }

  /** @internal What a method of the addon gives that answers with a number for an errno alone. Throws IoctlError; ClosedError. */
  protected take<T extends object>(ioctl: string, call: (native: NativeVfioFile) => T | number): T {
    const native = this.native;
    const result = translated(() => call(native));
    if (typeof result === 'number') throw systemCallError(ioctl, -result);
    return result;
  }

  /** Lets go of it. The kernel keeps a group open while one of its devices is. */
  close(): void {
    const native = this.#native;
    this.#native = null;
    native?.close();
  }

  /** Closes it: `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
