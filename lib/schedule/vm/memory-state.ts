/** Guest memory as it was when schedules began, and back to it: of the pages that were ever written since. */
import { PAGE_SIZE } from '../../kvm/guest-memory.ts';
import type { MappedSlot } from '../../kvm/vm/memory.ts';
import type { Vm } from '../../kvm/vm/vm.ts';

/** A slot, and what it held. */
interface Kept {
  readonly slot: MappedSlot;
  readonly bytes: Uint8Array;
  readonly live: Uint8Array;
  /** Its pages that were written by some schedule. */
  readonly written: Set<number>;
}

export class MemoryState implements Disposable {
  readonly #vm: Vm;
  readonly #kept: readonly Kept[];
  /** The kernel keeps a page's mark, and notices its first write alone. */
  readonly #keepsMarks: boolean;

  /** Takes it as it is now; from now on KVM notes which pages are written. */
  constructor(vm: Vm) {
    this.#vm = vm;
    this.#keepsMarks = vm.checkExtension('KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2') > 0;
    if (this.#keepsMarks) vm.enableCap('KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2', [1n]);
    this.#kept = [...vm.slots.values()]
      .filter(({ readonly }) => !readonly)
      .map((slot) => {
        const { memory, offset, size } = slot;
        return {
          slot,
          bytes: memory.read(offset, size),
          live: memory.bytes.subarray(offset, offset + size),
          written: new Set(),
        };
      });
    for (const { slot } of this.#kept) vm.setMemory({ ...slot, logDirtyPages: true });
  }

  /** Puts every page back that a guest has written. */
  restore(): void {
    for (const { slot, bytes, live, written } of this.#kept) {
      for (const page of this.#vm.getDirtyLog(slot.slot)) written.add(page);
      for (const page of written) {
        const at = page * PAGE_SIZE;
        live.set(bytes.subarray(at, at + PAGE_SIZE), at);
      }
    }
  }

  /** KVM notes no pages any more. */
  [Symbol.dispose](): void {
    for (const { slot } of this.#kept) if (!slot.logDirtyPages) this.#vm.setMemory({ ...slot, logDirtyPages: false });
  }
}
