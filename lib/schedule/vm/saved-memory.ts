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

export class SavedMemory implements Disposable {
  readonly #vm: Vm;
  readonly #kept: readonly Kept[];

  /** Takes it as it is now; from now on KVM notes which pages are written. */
  constructor(vm: Vm) {
    this.#vm = vm;
    // The kernel then keeps a page's mark, and notices its first write alone.
    if (vm.checkExtension('KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2') > 0)
      vm.enableCap('KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2', [1n]);
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

  /**
   * Puts every page back that a guest has written.
   *
   * @param known where they wrote since the last time, guest physical; without it the kernel is asked
   */
  restore(known?: Iterable<number>): void {
    for (const { slot, bytes, live, written } of this.#kept) {
      if (known === undefined) for (const page of this.#vm.getDirtyLog(slot.slot)) written.add(page);
      else for (const at of known) if (isIn(slot, at)) written.add(pageOf(slot, at));
      for (const page of written) {
        const at = page * PAGE_SIZE;
        live.set(bytes.subarray(at, at + PAGE_SIZE), at);
      }
    }
  }

  /** What puts the pages with these bytes, guest physical, back to what they hold now. */
  copy(where: Iterable<number>): () => void {
    const pages = this.#kept.flatMap(({ slot, live }) => {
      const numbers = new Set([...where].filter((at) => isIn(slot, at)).map((at) => pageOf(slot, at)));
      return [...numbers].map((page) => {
        const at = page * PAGE_SIZE;
        return { live, at, bytes: live.slice(at, at + PAGE_SIZE) };
      });
    });
    return () => {
      for (const { live, at, bytes } of pages) live.set(bytes, at);
    };
  }

  /** KVM notes no pages any more. */
  [Symbol.dispose](): void {
    for (const { slot } of this.#kept) if (!slot.logDirtyPages) this.#vm.setMemory({ ...slot, logDirtyPages: false });
  }
}

function isIn({ guestPhysAddr, size }: MappedSlot, at: number): boolean {
  const from = Number(guestPhysAddr);
  return at >= from && at < from + size;
}

const pageOf = ({ guestPhysAddr }: MappedSlot, at: number) => Math.floor((at - Number(guestPhysAddr)) / PAGE_SIZE);
