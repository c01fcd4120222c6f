import { type capabilities, capabilityNumber } from '../../abi/kvm/capability.ts';
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInstance, checkInteger, checkList, checkObject, checkU64 } from '../../base/check.ts';
import { ArgumentError, IoctlError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';
import { type EnabledCap, encodeEnableCap } from '../enable-cap.ts';
import { checkPageAligned, GuestMemory, PAGE_SIZE } from '../guest-memory.ts';
import { KvmHandle } from '../handle.ts';
import { type NativeVm, translated } from '../native.ts';
import type { VmAct, VmActListener } from './acts.ts';
import { MemoryOverlapError } from './errors.ts';

/** A range of guest physical memory and what lies behind it: KVM_SET_USER_MEMORY_REGION. */
export interface MemorySlot {
  /** 0 to KVM_CAP_NR_MEMSLOTS - 1. */
  slot: number;
  /** Where the guest sees it; a multiple of 4096. */
  guestPhysAddr: number | bigint;
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

/** A slot as the VM has it, every default filled in. */
export interface MappedSlot {
  readonly slot: number;
  readonly guestPhysAddr: bigint;
  readonly memory: GuestMemory;
  /** Bytes. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  readonly readonly: boolean;
  readonly logDirtyPages: boolean;
}

/** Pages of a word of a dirty bitmap: KVM_CLEAR_DIRTY_LOG counts in them. */
const PAGES_PER_WORD = 64;

/** A VM's capabilities and its memory. */
export abstract class VmMemory extends KvmHandle<NativeVm> {
  readonly #slots = new Map<number, MappedSlot>();
  readonly #enabled: EnabledCap[] = [];

  readonly #listeners: VmActListener[] = [];

  /** @internal Tells each act of this VM from now on: what it did to its guests, whoever asked for it. */
  onAct(listener: VmActListener): void {
    this.#listeners.push(listener);
  }

  protected acted(act: VmAct): void {
    for (const listener of this.#listeners) listener(act);
  }

  /** KVM_CHECK_EXTENSION on this VM: 0 if it lacks the capability, else 1 or a value that the capability defines. */
  checkExtension(cap: keyof typeof capabilities | number): number {
    return this.ioctl(ioctls.KVM_CHECK_EXTENSION, capabilityNumber(cap));
  }

  /**
   * KVM_ENABLE_CAP on this VM.
   *
   * @param args up to four values that the capability defines
   * @throws UnsupportedError if the VM lacks the capability; RefusedIoctlError for one whose arguments are an address or
   *   a file descriptor; IoctlError (KVM_ENABLE_CAP); ArgumentError
   */
  enableCap(cap: keyof typeof capabilities, args: readonly bigint[] = []): void {
    this.ioctl(ioctls.KVM_ENABLE_CAP, encodeEnableCap(cap, args, this.checkExtension(cap)));
    this.#enabled.push({ cap, args: args.map((arg) => checkU64('args', arg)) });
  }

  /** What `enableCap` enabled, in order. */
  get enabledCaps(): readonly EnabledCap[] {
    return this.#enabled;
  }

  /** The slots that have memory, by number. */
  get slots(): ReadonlyMap<number, MappedSlot> {
    return this.#slots;
  }

  /** True once a slot has memory: before that a vCPU has nothing to execute. */
  get hasMemory(): boolean {
    return this.#slots.size > 0;
  }

  /**
   * Puts memory into a slot that has none; of a slot that has some, it moves it (another `guestPhysAddr`) or changes its
   * `logDirtyPages`. The kernel changes neither size nor memory nor `readonly`: remove the slot first.
   *
   * @throws MemoryAlignmentError, MemoryOverlapError, ArgumentError before the ioctl;
   *   IoctlError (KVM_SET_USER_MEMORY_REGION: EINVAL for a slot beyond KVM_CAP_NR_MEMSLOTS or a change that is not
   *   allowed, ENOMEM)
   */
  setMemory(slot: MemorySlot): void {
    checkObject('slot', slot);
    checkInstance('memory', slot.memory, GuestMemory);
    const offset = slot.offset ?? 0;
    checkBytesNumber('offset', offset);
    const size = slot.size ?? slot.memory.size - offset;
    checkBytesNumber('size', size);
    checkSlotNumber(slot.slot);
    const start = guestAddress(slot.guestPhysAddr);
    checkPageAligned('The guest physical address', start);
    if (size === 0 || offset + size > slot.memory.size)
      throw new ArgumentError(
        'size',
        `${size} bytes at offset ${offset} do not lie within the ${slot.memory.size} bytes of the memory`,
        'Give a smaller size or offset; removeMemory() empties a slot.',
      );
    this.#checkOverlap(slot.slot, start, BigInt(size));
    const flags = (slot.readonly ? KVM_MEM_READONLY : 0) | (slot.logDirtyPages ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    const native = this.native;
    const result = translated(() =>
      native.setUserMemoryRegion(slot.slot, flags, start, slot.memory.native, offset, size),
    );
    if (result < 0) throw new IoctlError('KVM_SET_USER_MEMORY_REGION', -result);
    this.#slots.set(slot.slot, {
      slot: slot.slot,
      guestPhysAddr: start,
      memory: slot.memory,
      offset,
      size,
      readonly: !!slot.readonly,
      logDirtyPages: !!slot.logDirtyPages,
    });
  }

  /** Empties a slot. Throws IoctlError (KVM_SET_USER_MEMORY_REGION: EINVAL for a slot that is empty). */
  removeMemory(slot: number): void {
    checkSlotNumber(slot);
    const native = this.native;
    const result = translated(() => native.setUserMemoryRegion(slot, 0, 0n, null, 0, 0));
    if (result < 0) throw new IoctlError('KVM_SET_USER_MEMORY_REGION', -result);
    this.#slots.delete(slot);
  }

  #checkOverlap(slot: number, start: bigint, size: bigint): void {
    for (const [number, other] of this.#slots) {
      if (number === slot) continue;
      if (start < other.guestPhysAddr + BigInt(other.size) && other.guestPhysAddr < start + size)
        throw new MemoryOverlapError(slot, number, `0x${start.toString(16)}..0x${(start + size - 1n).toString(16)}`);
    }
  }

  /**
   * KVM_GET_DIRTY_LOG: the numbers of the slot's pages (0 is its first) that were written since the last call, ascending.
   * The kernel then forgets them; with KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 enabled it keeps them until `clearDirtyLog`.
   *
   * @throws ArgumentError for a slot without memory; IoctlError (KVM_GET_DIRTY_LOG: ENOENT for a slot that does not log)
   */
  getDirtyLog(slot: number): number[] {
    const pages = this.#slotPages(slot);
    const bitmap = new Uint8Array(bitmapBytes(pages));
    const native = this.native;
    const result = translated(() => native.getDirtyLog(slot, bitmap));
    if (result < 0) throw new IoctlError('KVM_GET_DIRTY_LOG', -result);
    return pagesOf(bitmap);
  }

  /**
   * KVM_CLEAR_DIRTY_LOG: the kernel forgets that these pages were written, and notices the next write. For a VM with
   * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 enabled (args[0] = 1).
   *
   * @param pages numbers of pages of the slot; 0 is its first
   * @throws ArgumentError; IoctlError (KVM_CLEAR_DIRTY_LOG: ENOENT for a slot that does not log, EINVAL)
   */
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
    const native = this.native;
    const result = translated(() => native.clearDirtyLog(slot, first, last - first, bitmap));
    if (result < 0) throw new IoctlError('KVM_CLEAR_DIRTY_LOG', -result);
  }

  #slotPages(slot: number): number {
    checkSlotNumber(slot);
    const found = this.#slots.get(slot);
    if (found) return found.size / PAGE_SIZE;
    throw new ArgumentError('slot', `slot ${slot} has no memory`, 'Call setMemory() first.');
  }

  /** KVM_SET_TSS_ADDR: three pages below 4 GiB that Intel hosts without unrestricted guests need. Throws IoctlError (EINVAL). */
  setTssAddr(guestPhysAddr: number): void {
    checkInteger('guestPhysAddr', guestPhysAddr, 0, 0xffff_ffff);
    this.ioctl(ioctls.KVM_SET_TSS_ADDR, guestPhysAddr);
    this.tssAddr = guestPhysAddr;
  }

  /**
   * KVM_SET_IDENTITY_MAP_ADDR: one page below 4 GiB for the same hosts. 0 is the default, 0xfffbc000.
   *
   * @throws ArgumentError; IoctlError (EINVAL after a vCPU was made)
   */
  setIdentityMapAddr(guestPhysAddr: number | bigint): void {
    const address = checkU64('guestPhysAddr', guestPhysAddr);
    const argument = new Uint8Array(8);
    new DataView(argument.buffer).setBigUint64(0, address, true);
    this.ioctl(ioctls.KVM_SET_IDENTITY_MAP_ADDR, argument, 'Call it before the first createVcpu().');
    this.identityMapAddr = address;
  }

  /** What `setTssAddr` set, or `null`. */
  protected tssAddr: number | null = null;
  /** What `setIdentityMapAddr` set, or `null`. */
  protected identityMapAddr: bigint | null = null;
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

function checkBytesNumber(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new ArgumentError(what, `${what} ${show(value)} is not a number of bytes`, 'Give a multiple of 4096.');
  checkPageAligned(`The ${what}`, value);
}

function checkSlotNumber(slot: number): void {
  if (Number.isInteger(slot) && slot >= 0 && slot <= 0x7fff) return;
  throw new ArgumentError(
    'slot',
    `slot ${show(slot)} is not an integer from 0 to 32767`,
    'Number memory slots from 0.',
  );
}

function guestAddress(address: number | bigint): bigint {
  return checkU64('guestPhysAddr', address);
}
