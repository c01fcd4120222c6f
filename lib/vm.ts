import { capabilities } from './abi/capability.ts';
import { ioctls } from './abi/ioctl.ts';
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, kvmEnableCap } from './abi/x86.ts';
import {
  ArgumentError,
  IoctlError,
  MemoryOverlapError,
  UnsupportedError,
  VcpuExistsError,
  VcpuIdError,
} from './errors.ts';
import { KvmHandle } from './handle.ts';
import { checkPageAligned, type GuestMemory } from './memory.ts';
import { type NativeVm, translated } from './native.ts';
import { Vcpu } from './vcpu.ts';

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

interface Range {
  start: bigint;
  size: bigint;
}

/** The number of GSIs that the kernel's IOAPIC would have had: what a split irqchip usually reserves. */
const IOAPIC_PINS = 24;

/** For `setTssAddr`: below the BIOS area at the end of 4 GiB, where no machine of this package has memory. */
export const TSS_ADDRESS = 0xfffb_d000;

/** A virtual machine. */
export class Vm extends KvmHandle<NativeVm> {
  readonly #slots = new Map<number, Range>();
  readonly #vcpus = new Map<number, Vcpu>();

  /** A VM comes from `kvm.createVm()`. */
  constructor(native: NativeVm) {
    super(native, 'the VM');
  }

  /** KVM_CHECK_EXTENSION on this VM: 0 if it lacks the capability, else 1 or a value that the capability defines. */
  checkExtension(cap: keyof typeof capabilities | number): number {
    return this.ioctl(ioctls.KVM_CHECK_EXTENSION, typeof cap === 'number' ? cap : capabilities[cap]);
  }

  /** The vCPUs that are open, by vcpu_id. */
  get vcpus(): ReadonlyMap<number, Vcpu> {
    return this.#vcpus;
  }

  /** True once a slot has memory: before that a vCPU has nothing to execute. */
  get hasMemory(): boolean {
    return this.#slots.size > 0;
  }

  /**
   * Puts memory into a slot that has none, or replaces a slot's flags.
   *
   * @throws MemoryAlignmentError, MemoryOverlapError, ArgumentError before the ioctl;
   *   IoctlError (KVM_SET_USER_MEMORY_REGION: EINVAL for a slot beyond KVM_CAP_NR_MEMSLOTS, ENOMEM)
   */
  setMemory(slot: MemorySlot): void {
    const offset = slot.offset ?? 0;
    const size = slot.size ?? slot.memory.size - offset;
    checkSlotNumber(slot.slot);
    const start = guestAddress(slot.guestPhysAddr);
    checkPageAligned('The guest physical address', start);
    for (const [what, value] of [
      ['offset', offset],
      ['size', size],
    ] as const) {
      if (!Number.isSafeInteger(value) || value < 0)
        throw new ArgumentError(what, `${what} ${value} is not a number of bytes`, 'Give a multiple of 4096.');
      checkPageAligned(`The ${what}`, value);
    }
    if (size === 0 || offset + size > slot.memory.size)
      throw new ArgumentError(
        'size',
        `${size} bytes at offset ${offset} do not lie within the ${slot.memory.size} bytes of the memory`,
        'Give a smaller size or offset; removeMemory() empties a slot.',
      );
    this.#checkOverlap(slot.slot, { start, size: BigInt(size) });
    const flags = (slot.readonly ? KVM_MEM_READONLY : 0) | (slot.logDirtyPages ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    const native = this.native;
    const result = translated(() =>
      native.setUserMemoryRegion(slot.slot, flags, start, slot.memory.native, offset, size),
    );
    if (result < 0) throw new IoctlError('KVM_SET_USER_MEMORY_REGION', -result);
    this.#slots.set(slot.slot, { start, size: BigInt(size) });
  }

  /** Empties a slot. Throws IoctlError (KVM_SET_USER_MEMORY_REGION: EINVAL for a slot that is empty). */
  removeMemory(slot: number): void {
    checkSlotNumber(slot);
    const native = this.native;
    const result = translated(() => native.setUserMemoryRegion(slot, 0, 0n, null, 0, 0));
    if (result < 0) throw new IoctlError('KVM_SET_USER_MEMORY_REGION', -result);
    this.#slots.delete(slot);
  }

  #checkOverlap(slot: number, { start, size }: Range): void {
    for (const [number, other] of this.#slots) {
      if (number === slot) continue;
      if (start < other.start + other.size && other.start < start + size)
        throw new MemoryOverlapError(slot, number, `0x${start.toString(16)}..0x${(start + size - 1n).toString(16)}`);
    }
  }

  /**
   * KVM_CREATE_IRQCHIP: PICs, IOAPIC and, for each vCPU made afterwards, a local APIC, all in the kernel.
   *
   * @throws IoctlError (EEXIST if there is one; EINVAL after a vCPU was made; ENOTTY if the kernel has no IOAPIC)
   */
  createIrqchip(): void {
    this.ioctl(ioctls.KVM_CREATE_IRQCHIP, undefined, 'Call it once per VM, before the first createVcpu().');
  }

  /**
   * KVM_CAP_SPLIT_IRQCHIP: local APICs in the kernel, PICs and IOAPIC left to user space.
   *
   * @param gsis how many GSIs are kept for user space's IOAPIC
   * @throws UnsupportedError; IoctlError (KVM_ENABLE_CAP: EEXIST, EINVAL)
   */
  enableSplitIrqchip(gsis = IOAPIC_PINS): void {
    this.enableCap('KVM_CAP_SPLIT_IRQCHIP', [BigInt(gsis)]);
  }

  /**
   * KVM_ENABLE_CAP on this VM.
   *
   * @param args up to four values that the capability defines
   * @throws UnsupportedError if the VM lacks the capability; IoctlError (KVM_ENABLE_CAP)
   */
  enableCap(cap: keyof typeof capabilities, args: readonly bigint[] = []): void {
    if (this.checkExtension(cap) === 0) throw new UnsupportedError(cap, 'What was asked for');
    const values = [0, 1, 2, 3].map((index) => args[index] ?? 0n);
    this.ioctl(ioctls.KVM_ENABLE_CAP, kvmEnableCap.encode({ cap: capabilities[cap], args: values }));
  }

  /** KVM_SET_TSS_ADDR: three pages below 4 GiB that Intel hosts without unrestricted guests need. */
  setTssAddr(guestPhysAddr: number): void {
    this.ioctl(ioctls.KVM_SET_TSS_ADDR, guestPhysAddr);
  }

  /**
   * KVM_CREATE_VCPU.
   *
   * @param vcpuId its APIC id at reset: 0 to KVM_CAP_MAX_VCPU_ID - 1
   * @throws VcpuIdError, VcpuExistsError before the ioctl; IoctlError (KVM_CREATE_VCPU: EINVAL beyond
   *   KVM_CAP_MAX_VCPUS, ENOMEM, EMFILE)
   */
  createVcpu(vcpuId: number): Vcpu {
    const limit = this.checkExtension('KVM_CAP_MAX_VCPU_ID') || this.checkExtension('KVM_CAP_MAX_VCPUS') || 4;
    if (!Number.isInteger(vcpuId) || vcpuId < 0 || vcpuId >= limit) throw new VcpuIdError(vcpuId, limit);
    // KVM keeps a vCPU until its VM goes, whether or not its file descriptor is open.
    if (this.#vcpus.has(vcpuId)) throw new VcpuExistsError(vcpuId);
    const native = this.native;
    let made: Vcpu;
    try {
      made = new Vcpu(
        translated(() => native.createVcpu(vcpuId)),
        vcpuId,
        this,
      );
    } catch (error) {
      if (error instanceof IoctlError && error.errnoName === 'EEXIST') throw new VcpuExistsError(vcpuId);
      throw error;
    }
    this.#vcpus.set(vcpuId, made);
    return made;
  }

  /** Closes the vCPUs, then the VM. Memory that it mapped stays with its owner. */
  override close(): void {
    // All at once: many running vCPUs on few CPUs would take long one after the other.
    for (const vcpu of this.#vcpus.values()) vcpu.thread?.askToStop();
    for (const vcpu of this.#vcpus.values()) vcpu.close();
    super.close();
  }
}

function checkSlotNumber(slot: number): void {
  if (Number.isInteger(slot) && slot >= 0 && slot <= 0x7fff) return;
  throw new ArgumentError('slot', `slot ${slot} is not an integer from 0 to 32767`, 'Number memory slots from 0.');
}

function guestAddress(address: number | bigint): bigint {
  const valid =
    typeof address === 'bigint' ? address >= 0n && address < 1n << 64n : Number.isSafeInteger(address) && address >= 0;
  if (valid) return BigInt(address);
  throw new ArgumentError(
    'guestPhysAddr',
    `${address} is not a guest physical address`,
    'Give an address from 0 to 2^64-1.',
  );
}
