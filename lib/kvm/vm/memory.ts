/** KVM_SET_USER_MEMORY_REGION and the dirty logs. */
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInteger, checkList } from '../../base/check.ts';
import { ArgumentError, IoctlError } from '../../base/errors.ts';
import { boolean, instance, optional, shape, u64 } from '../../base/shape.ts';
import { hex, show } from '../../base/text.ts';
import { checkPageAligned, GuestMemory, PAGE_SIZE } from '../guest-memory.ts';
import { controllerPages, kvmsOwn, type OwnPages, type ReservedRange, reservedIn } from '../reserved-memory.ts';
import { MemoryOverlapError, ReservedMemoryError } from './errors.ts';
import type { IrqchipKind, VmCalls } from './host.ts';

/** A range of guest physical memory and what is there: KVM_SET_USER_MEMORY_REGION. */
export interface MemorySlot {
  /**
   * Bits 15:0: 0 to KVM_CAP_NR_MEMSLOTS - 1. Bits 31:16: the address space, 0, or 1 for what a guest in SMM sees
   * (KVM_CAP_MULTI_ADDRESS_SPACE): `smmSlot(n)`. A guest in SMM sees no slot of address space 0.
   */
  slot: number;
  /** Where the guest sees it; a multiple of 4096. */
  guestPhysAddr: number | bigint;
  /** Whose bytes the guest sees there. */
  memory: GuestMemory;
  /** Where in `memory` it begins, in bytes; a multiple of 4096. Default 0. */
  offset?: number;
  /** In bytes; a multiple of 4096. Default: the rest of `memory`. */
  size?: number;
  /** A guest's write leaves by KVM_EXIT_MMIO (KVM_MEM_READONLY). */
  readonly?: boolean;
  /** KVM_MEM_LOG_DIRTY_PAGES. */
  logDirtyPages?: boolean;
}

const memorySlot = shape<MemorySlot>('setMemory() takes', {
  slot: (_, value) => checkSlotNumber(value as number),
  guestPhysAddr: u64,
  memory: instance(GuestMemory),
  offset: optional(bytesNumber),
  size: optional(bytesNumber),
  readonly: optional(boolean),
  logDirtyPages: optional(boolean),
});

/** A slot as the VM has it, every default filled in. */
export interface MappedSlot {
  /** The slot of KVM_SET_USER_MEMORY_REGION: its address space in bits 31:16, its number in bits 15:0. */
  readonly slot: number;
  /** Where the guest has it, in bytes: a multiple of 4096. */
  readonly guestPhysAddr: bigint;
  /** Whose bytes it shows. */
  readonly memory: GuestMemory;
  /** Bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** The guest cannot write it (KVM_MEM_READONLY): a write is a KVM_EXIT_MMIO. */
  readonly readonly: boolean;
  /** KVM notes which pages are written (KVM_MEM_LOG_DIRTY_PAGES). */
  readonly logDirtyPages: boolean;
}

/** Pages of a word of a dirty bitmap: KVM_CLEAR_DIRTY_LOG counts in them. */
const PAGES_PER_WORD = 64;

/** A VM's memory slots, and what the kernel logs of the pages that were written. */
export class MemorySlots {
  readonly #calls: VmCalls;
  readonly #irqchip: () => IrqchipKind;
  readonly #setup: () => OwnPages;
  readonly #slots = new Map<number, MappedSlot>();

  /** @param setup what KVM keeps for itself depends on it */
  constructor(calls: VmCalls, irqchip: () => IrqchipKind, setup: () => OwnPages) {
    this.#calls = calls;
    this.#irqchip = irqchip;
    this.#setup = setup;
  }

  get all(): ReadonlyMap<number, MappedSlot> {
    return this.#slots;
  }

  set(given: MemorySlot): void {
    const slot = memorySlot.take(given, 'slot');
    const { offset = 0, size = slot.memory.size - offset } = slot;
    bytesNumber('size', size);
    const start = BigInt(slot.guestPhysAddr);
    checkPageAligned('The guest physical address', start);
    if (size === 0 || offset + size > slot.memory.size)
      throw new ArgumentError(
        'size',
        `${size} bytes at offset ${offset} do not lie within the ${slot.memory.size} bytes of the memory`,
        'Give a smaller size or offset; removeMemory() empties a slot.',
      );
    this.#checkOverlap(slot.slot, start, BigInt(size));
    const flags = (slot.readonly ? KVM_MEM_READONLY : 0) | (slot.logDirtyPages ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    const mapped: MappedSlot = {
      slot: slot.slot,
      guestPhysAddr: start,
      memory: slot.memory,
      offset,
      size,
      readonly: slot.readonly ?? false,
      logDirtyPages: slot.logDirtyPages ?? false,
    };
    checkApart('KVM_SET_USER_MEMORY_REGION', [mapped], controllerPages(this.#irqchip()));
    this.named('KVM_SET_USER_MEMORY_REGION', [mapped], () =>
      this.#calls.call(ioctls.KVM_SET_USER_MEMORY_REGION, (native) =>
        native.setUserMemoryRegion(slot.slot, flags, start, slot.memory.native, offset, size),
      ),
    );
    this.#slots.set(slot.slot, mapped);
  }

  /** The VM is to get interrupt controllers in the kernel: throws ReservedMemoryError if a slot covers their pages. */
  checkControllers(doing: string, irqchip: IrqchipKind): void {
    checkApart(doing, this.#slots.values(), controllerPages(irqchip));
  }

  /** What `ask` gives; an EEXIST that comes of memory where KVM has its own pages is told as that: ReservedMemoryError. */
  named<T>(doing: string, slots: Iterable<MappedSlot>, ask: () => T, tssAddr = this.#setup().tssAddr): T {
    try {
      return ask();
    } catch (error) {
      if (error instanceof IoctlError && error.errnoName === 'EEXIST')
        checkApart(doing, slots, [...controllerPages(this.#irqchip()), ...kvmsOwn({ ...this.#setup(), tssAddr })]);
      throw error;
    }
  }

  remove(slot: number): void {
    checkSlotNumber(slot);
    this.#calls.call(ioctls.KVM_SET_USER_MEMORY_REGION, (native) =>
      native.setUserMemoryRegion(slot, 0, 0n, null, 0, 0),
    );
    this.#slots.delete(slot);
  }

  #checkOverlap(slot: number, start: bigint, size: bigint): void {
    for (const [number, other] of this.#slots) {
      if (number === slot || addressSpaceOf(number) !== addressSpaceOf(slot)) continue;
      if (start < other.guestPhysAddr + BigInt(other.size) && other.guestPhysAddr < start + size)
        throw new MemoryOverlapError(slot, number, `${hex(start)}..${hex(start + size - 1n)}`);
    }
  }

  getDirtyLog(slot: number): number[] {
    const pages = this.#slotPages(slot);
    const bitmap = new Uint8Array(bitmapBytes(pages));
    this.#calls.call(ioctls.KVM_GET_DIRTY_LOG, (native) => native.getDirtyLog(slot, bitmap));
    return pagesOf(bitmap);
  }

  clearDirtyLog(slot: number, pages: readonly number[]): void {
    const count = this.#slotPages(slot);
    checkList('pages', pages);
    if (pages.length === 0) return;
    let low = count;
    let high = 0;
    for (const page of pages) {
      checkInteger('page', page, 0, count - 1);
      low = Math.min(low, page);
      high = Math.max(high, page);
    }
    // Both ends lie on a multiple of 64 pages, but for the slot's own end.
    const first = low - (low % PAGES_PER_WORD);
    const last = Math.min(count, (Math.floor(high / PAGES_PER_WORD) + 1) * PAGES_PER_WORD);
    const bitmap = new Uint8Array(bitmapBytes(last - first));
    for (const page of pages) bitmap[(page - first) >> 3]! |= 1 << ((page - first) & 7);
    this.#calls.call(ioctls.KVM_CLEAR_DIRTY_LOG, (native) => native.clearDirtyLog(slot, first, last - first, bitmap));
  }

  #slotPages(slot: number): number {
    checkSlotNumber(slot);
    const found = this.#slots.get(slot);
    if (found) return found.size / PAGE_SIZE;
    throw new ArgumentError('slot', `slot ${slot} has no memory`, 'Call setMemory() first.');
  }
}

function checkApart(doing: string, slots: Iterable<MappedSlot>, ranges: readonly ReservedRange[]): void {
  for (const slot of slots) {
    const met = reservedIn(ranges, slot.guestPhysAddr, slot.guestPhysAddr + BigInt(slot.size));
    if (met) throw new ReservedMemoryError(doing, slot, met);
  }
}

function bitmapBytes(pages: number): number {
  return Math.ceil(pages / PAGES_PER_WORD) * 8;
}

function pagesOf(bitmap: Uint8Array): number[] {
  const pages: number[] = [];
  bitmap.forEach((byte, index) => {
    for (let bit = 0; byte >> bit; bit++) if ((byte >> bit) & 1) pages.push(index * 8 + bit);
  });
  return pages;
}

function bytesNumber(what: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new ArgumentError(what, `${what} ${show(value)} is not a number of bytes`, 'Give a multiple of 4096.');
  checkPageAligned(`The ${what}`, value);
  return value;
}

/** Of a slot's number, the bits that say which of a VM's address spaces it is in. */
const ADDRESS_SPACE = 16;
const addressSpaceOf = (slot: number) => slot >>> ADDRESS_SPACE;

/** The number of a slot that a guest in system management mode sees, and no other. `n`: 0 to 32767. */
export function smmSlot(n: number): number {
  return (1 << ADDRESS_SPACE) | checkInteger('n', n, 0, 0x7fff);
}

/** False for a slot that a guest sees in system management mode alone. */
export const isUsualSlot = ({ slot }: Pick<MappedSlot, 'slot'>): boolean => addressSpaceOf(slot) === 0;

function checkSlotNumber(slot: number): number {
  if (Number.isInteger(slot) && slot >= 0 && (slot & 0xffff) <= 0x7fff && slot <= 0x1_7fff) return slot;
  throw new ArgumentError(
    'slot',
    `slot ${show(slot)} is not an integer from 0 to 32767, nor a smmSlot()`,
    'Number memory slots from 0.',
  );
}
