import type { CoalescedWrite } from '../../abi/kvm/coalesced-ring.ts';
import {
  KVM_CREATE_DEVICE_TEST,
  KVM_DEV_TYPE_VFIO,
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
  KVM_MSR_FILTER_DEFAULT_DENY,
  KVM_MSR_FILTER_MAX_BITMAP_SIZE,
  KVM_MSR_FILTER_MAX_RANGES,
  KVM_MSR_FILTER_READ,
  KVM_MSR_FILTER_WRITE,
  type KvmClockData,
  kvmClockData,
  kvmCoalescedMmioZone,
  kvmIoeventfd,
  kvmMsrFilter,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkChoice, checkInstance, checkInteger, checkList, checkObject, checkU64 } from '../../base/check.ts';
import { ArgumentError, IoctlError } from '../../base/errors.ts';
import { Device, type DeviceAttr, handleHasAttr } from '../device.ts';
import { EventFd } from '../eventfd.ts';
import { translated } from '../native.ts';
import { readStats, type Stat } from '../stats.ts';
import { VfioPseudoDevice } from '../vfio/kvm-device.ts';
import { VmIrq } from './irq.ts';

/** Where a guest's write signals an event (KVM_IOEVENTFD). */
export interface IoEvent {
  /** A guest physical address, or a port if `pio`. */
  address: number | bigint;
  /** A port. Default false: MMIO. */
  pio?: boolean;
  /** Bytes of the write: 1, 2, 4, 8; 0 for any. */
  length: 0 | 1 | 2 | 4 | 8;
  /** Only a write of this value signals. */
  datamatch?: number | bigint;
}

/** A range of addresses whose writes the kernel keeps back in a ring (KVM_REGISTER_COALESCED_MMIO). */
export interface CoalescedZone {
  /** A guest physical address, or a port if `pio`. */
  address: number | bigint;
  /** Bytes, 1 to 2^32-1. */
  size: number;
  /** Ports. Default false: MMIO. */
  pio?: boolean;
}

/** MSRs that a guest may or may not use: one range of KVM_X86_SET_MSR_FILTER. */
export interface MsrFilterRange {
  /** The first MSR. */
  base: number;
  /** How many from there: 1 to 12288. */
  count: number;
  /** The filter is for reads. Default true. */
  read?: boolean;
  /** The filter is for writes. Default true. */
  write?: boolean;
  /** Those of the range that the guest may use; the others are denied. Default none. */
  allow?: readonly number[];
}

export interface MsrFilter {
  /** What happens to MSRs outside the ranges. Default true: allowed. */
  defaultAllow?: boolean;
  /** At most 16; with none, and `defaultAllow`, the filter is off. */
  ranges?: readonly MsrFilterRange[];
}

/** What a VM's guests do with ports, MMIO and MSRs beside its interrupts; its clock, devices and statistics. */
export abstract class VmIo extends VmIrq {
  /**
   * KVM_IOEVENTFD: a guest's write there adds 1 to the event and does not leave KVM.
   *
   * @throws ArgumentError; ClosedError; IoctlError (KVM_IOEVENTFD: EEXIST if another event has the same place and
   *   datamatch, EINVAL, ENOSPC)
   */
  assignIoeventfd(event: EventFd, where: IoEvent): void {
    this.#ioeventfd(event, where, 0);
  }

  /** KVM_IOEVENTFD_FLAG_DEASSIGN: undoes it; `where` is what it was assigned with. Throws IoctlError (ENOENT). */
  deassignIoeventfd(event: EventFd, where: IoEvent): void {
    this.#ioeventfd(event, where, KVM_IOEVENTFD_FLAG_DEASSIGN);
  }

  #ioeventfd(event: EventFd, where: IoEvent, more: number): void {
    checkInstance('event', event, EventFd);
    const { datamatch, pio = false, length } = checkObject('where', where);
    const addr = checkPlace(where.address, pio);
    checkChoice<number>('length', length, [0, 1, 2, 4, 8]);
    if (datamatch !== undefined && length === 0)
      throw new ArgumentError('datamatch', 'A write of any length has no value to match', 'Give a length.');
    const flags = (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) | (datamatch === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH);
    const argument = kvmIoeventfd.encode({
      addr,
      len: length,
      flags: flags | more,
      datamatch: checkU64('datamatch', datamatch ?? 0n),
    });
    const native = this.native;
    const result = translated(() => native.ioeventfd(event.native, argument));
    if (result < 0) throw new IoctlError('KVM_IOEVENTFD', -result);
  }

  /**
   * KVM_REGISTER_COALESCED_MMIO: writes to the zone do not leave KVM, until the ring is full (169 writes) or
   * `drainCoalesced()` takes them.
   *
   * @throws ArgumentError; IoctlError (ENOSPC)
   */
  registerCoalesced(zone: CoalescedZone): void {
    this.ioctl(ioctls.KVM_REGISTER_COALESCED_MMIO, encodeZone(zone));
  }

  /** KVM_UNREGISTER_COALESCED_MMIO: the zones of that kind within the range. What lies in the ring stays there. */
  unregisterCoalesced(zone: CoalescedZone): void {
    this.ioctl(ioctls.KVM_UNREGISTER_COALESCED_MMIO, encodeZone(zone));
  }

  /** Takes what all the VM's vCPUs wrote to coalesced zones out of the ring, oldest first. Needs an open vCPU. */
  abstract drainCoalesced(): CoalescedWrite[];

  /**
   * KVM_X86_SET_MSR_FILTER: replaces the filter. A denied MSR is a #GP for the guest, or an exit to user space once
   * `enableUserSpaceMsr` asked for filter exits. It does not filter the x2APIC's MSRs (0x800..0x8ff).
   *
   * @throws ArgumentError; IoctlError (KVM_X86_SET_MSR_FILTER: EINVAL)
   */
  setMsrFilter(filter: MsrFilter): void {
    const ranges = checkList('ranges', checkObject('filter', filter).ranges ?? [], KVM_MSR_FILTER_MAX_RANGES);
    const bitmaps = ranges.map(filterBitmap);
    const argument = kvmMsrFilter.encode({
      flags: (filter.defaultAllow ?? true) ? 0 : KVM_MSR_FILTER_DEFAULT_DENY,
      ranges: ranges.map(({ base, count, read = true, write = true }) => ({
        flags: (read ? KVM_MSR_FILTER_READ : 0) | (write ? KVM_MSR_FILTER_WRITE : 0),
        base,
        nmsrs: count,
        bitmap: 0n,
      })),
    });
    const native = this.native;
    const result = translated(() => native.setMsrFilter(argument, bitmaps));
    if (result < 0) throw new IoctlError('KVM_X86_SET_MSR_FILTER', -result);
  }

  /**
   * KVM_CAP_X86_USER_SPACE_MSR: which MSR accesses leave by KVM_EXIT_X86_RDMSR and KVM_EXIT_X86_WRMSR instead of a #GP.
   * `vcpu.completeRdmsr`, `completeWrmsr` and `failMsr` answer them.
   *
   * @param reasons KVM_MSR_EXIT_REASON_* bits: INVAL 1 (a value or bit that the MSR does not have), UNKNOWN 2 (an MSR that
   *   KVM does not know), FILTER 4 (one that the filter denies); 0 switches it off
   */
  enableUserSpaceMsr(reasons: number): void {
    this.enableCap('KVM_CAP_X86_USER_SPACE_MSR', [BigInt(checkInteger('reasons', reasons, 0, 7))]);
  }

  /**
   * KVM_CAP_X2APIC_API: how KVM_GET/SET_LAPIC, KVM_SIGNAL_MSI and routes see APIC ids above 255.
   *
   * @param flags KVM_X2APIC_API_* bits: USE_32BIT_IDS 1, DISABLE_BROADCAST_QUIRK 2
   * @throws UnsupportedError; IoctlError (KVM_ENABLE_CAP: EINVAL for a bit that the kernel does not know)
   */
  enableX2apicApi(flags: number): void {
    this.enableCap('KVM_CAP_X2APIC_API', [BigInt(checkInteger('flags', flags, 0, 0xffff_ffff))]);
  }

  /** KVM_GET_CLOCK: kvmclock in ns, and KVM_CLOCK_* flags that say which other fields count. */
  getClock(): KvmClockData {
    return kvmClockData.decode(this.read(ioctls.KVM_GET_CLOCK, kvmClockData.size));
  }

  /**
   * KVM_SET_CLOCK.
   *
   * @param clock ns; with KVM_CLOCK_REALTIME (4) in `flags`, what it was at `realtime`
   * @throws ArgumentError; IoctlError (KVM_SET_CLOCK: EINVAL for a flag that the kernel does not take)
   */
  setClock(clock: Partial<KvmClockData> & { clock: bigint }): void {
    this.ioctl(ioctls.KVM_SET_CLOCK, kvmClockData.encode(checkObject('clock', clock)));
  }

  /**
   * KVM_CREATE_DEVICE.
   *
   * @param type KVM_DEV_TYPE_*; on x86 the kernel has KVM_DEV_TYPE_VFIO (4), which is what `vfio` means
   * @throws ArgumentError; IoctlError (KVM_CREATE_DEVICE: ENODEV for a type that it lacks, EBUSY for a second one)
   */
  createDevice(type: 'vfio'): VfioPseudoDevice;
  createDevice(type: number): Device;
  createDevice(type: number | 'vfio'): Device {
    const number = type === 'vfio' ? KVM_DEV_TYPE_VFIO : type;
    const made = this.#createDevice(number, 0);
    if (made === null || typeof made === 'number') throw new IoctlError('KVM_CREATE_DEVICE', made === null ? 0 : -made);
    return number === KVM_DEV_TYPE_VFIO ? new VfioPseudoDevice(made) : new Device(made, number);
  }

  /** KVM_CREATE_DEVICE_TEST: whether the kernel has that type of device. */
  hasDeviceType(type: number): boolean {
    return this.#createDevice(type, KVM_CREATE_DEVICE_TEST) === null;
  }

  #createDevice(type: number, flags: number) {
    checkInteger('type', type, 0, 0xffff_ffff);
    const native = this.native;
    return translated(() => native.createDevice(type, flags));
  }

  /** KVM_HAS_DEVICE_ATTR on the VM itself. Throws IoctlError (ENOTTY where the kernel has none for VMs, as on x86). */
  hasDeviceAttr(which: DeviceAttr): boolean {
    return handleHasAttr(this.native, which);
  }

  /** KVM_GET_STATS_FD, read once: what the kernel counts of this VM, by name. Throws IoctlError (KVM_GET_STATS_FD). */
  stats(): Map<string, Stat> {
    return readStats(this.native);
  }
}

function checkPlace(address: number | bigint, pio: boolean): bigint {
  const place = checkU64('address', address);
  if (pio && place > 0xffffn) throw new ArgumentError('address', `There is no port ${place}`, 'Ports are 0 to 0xffff.');
  return place;
}

function encodeZone(zone: CoalescedZone): Uint8Array<ArrayBuffer> {
  const { address, size, pio = false } = checkObject('zone', zone);
  checkInteger('size', size, 1, 0xffff_ffff);
  return kvmCoalescedMmioZone.encode({ addr: checkPlace(address, pio), size, pio: pio ? 1 : 0 });
}

function filterBitmap(range: MsrFilterRange): Uint8Array {
  const { base, count, read = true, write = true, allow = [] } = checkObject('ranges', range);
  checkList('allow', allow);
  checkInteger('base', base, 0, 0xffff_ffff);
  checkInteger('count', count, 1, KVM_MSR_FILTER_MAX_BITMAP_SIZE * 8);
  if (!read && !write)
    throw new ArgumentError('ranges', 'A range filters neither reads nor writes', 'Set read, write, or both.');
  const bitmap = new Uint8Array(Math.ceil(count / 64) * 8);
  for (const index of allow) {
    const bit = checkInteger('allow', index, base, base + count - 1) - base;
    bitmap[bit >> 3]! |= 1 << (bit & 7);
  }
  return bitmap;
}
