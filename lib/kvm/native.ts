/** The addon: the one file that loads it, what it offers, and what its errors become. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { ArgumentError, ClosedError } from '../base/errors.ts';
import { packageRoot } from '../base/package.ts';
import { NativeLoadError, RefusedIoctlError, ViewSizeError } from './errors.ts';
import { systemCallError } from './limit.ts';

/**
 * What the addon offers. An `ioctl` result is the kernel's own (>= 0) or the errno negated; everything else that the
 * kernel refuses is thrown. Use these through `Kvm`, `Vm`, `Vcpu` and `GuestMemory`.
 */
export interface NativeHandle {
  ioctl(request: number, argument?: ArrayBufferView | number): number;
  close(): void;
}

export interface NativeSystem extends NativeHandle {
  createVm(type: number): NativeVm;
}

/**
 * Where `NativeCalls` have their arguments: one buffer for a handle's whole life, also after `close`. In doubles.
 * `stampNs`: CLOCK_MONOTONIC of the last exit that `enter` came back with, read right after KVM_RUN; 0 before the first.
 * `seconds`, `endsNs`: how long KVM_RUN may take, and the CLOCK_MONOTONIC time that ends it at the latest. `again`: not 0 if the
 * guest goes on after KVM_RUN's EAGAIN.
 */
export const deskNumbers = { stampNs: 0, seconds: 1, endsNs: 2, again: 3 } as const;
/** Where the argument of an ioctl starts, in bytes, and how many it may have. */
export const DESK_ARGUMENT = 64;
export const DESK_ROOM = 1024;

/** A handle that the functions of `NativeCalls` know by its number. */
export interface NativeDesk {
  readonly desk: ArrayBuffer;
  readonly number: number;
}

/** The calls of the hot path: functions of the addon, whose `this` does not matter. */
export interface NativeCalls {
  /**
   * Enters the guest of a vCPU, until the limits that lie on its desk. 0: kvm_run holds an exit, whose time went to the desk;
   * -ETIME: a limit came first; else the errno of KVM_RUN, negated.
   */
  readonly enter: (vcpu: number) => number;
  /**
   * The ioctl whose argument lies on the desk: its result, or the errno negated. For requests of a struct that has a size of
   * its own.
   */
  readonly askVcpu: (vcpu: number, request: number) => number;
  readonly askVm: (vm: number, request: number) => number;
  /**
   * KVM_SIGNAL_MSI with the struct kvm_msi that lies on the desk: its result, or the errno negated. One that the kernel takes goes
   * into the VM's log, if it has one (`logMessages`). Throws if there is no memory for that.
   */
  readonly sendMsi: (vm: number) => number;
}

export interface NativeVm extends NativeHandle, NativeDesk {
  /** With the address of a page that nobody may read, for a request that only reads its argument. */
  ioctlUnreadable(request: number): number;
  /** `NativeCalls.sendMsi` logs from now on. */
  logMessages(log: NativeExitLog): void;
  createVcpu(vcpuId: number): NativeVcpu;
  setUserMemoryRegion(
    slot: number,
    flags: number,
    guestPhysAddr: bigint,
    memory: NativeMapping | null,
    offset: number,
    memorySize: number,
  ): number;
  getDirtyLog(slot: number, bitmap: Uint8Array): number;
  clearDirtyLog(slot: number, firstPage: number, numPages: number, bitmap: Uint8Array): number;
  /** `bitmaps`: those of the ranges one behind the other, each of whole 8 bytes. */
  setMsrFilter(filter: Uint8Array, bitmaps: Uint8Array): number;
  irqfd(event: NativeEventFd, gsi: number, flags: number, resample: NativeEventFd | null): number;
  ioeventfd(event: NativeEventFd, ioeventfd: Uint8Array): number;
  /** `null` for a KVM_CREATE_DEVICE_TEST that the type passes. */
  createDevice(type: number, flags: number): NativeDevice | number | null;
  reinjectControl(reinject: boolean): number;
}

export interface NativeEventFd {
  /** The counter, which becomes 0; `null` while it is 0. */
  read(): bigint | null;
  write(count: bigint): void;
  /** `callback` gets 0 once the counter is not 0, -ETIME after `seconds`, or -ECANCELED from `close`. */
  wait(seconds: number, callback: (result: number) => void): void;
  close(): void;
}

export interface NativeDevice {
  /** KVM_SET/GET/HAS_DEVICE_ATTR. The file descriptor of `file` takes the payload's first four bytes. */
  attr(
    request: number,
    group: number,
    attr: bigint,
    payload: Uint8Array | null,
    file: NativeEventFd | NativeVfioFile | null,
  ): number;
  close(): void;
}

/** A container, a group or a device of VFIO. Results are the kernel's own, or the errno negated. */
export interface NativeVfioFile {
  checkExtension(extension: number): number;
  setIommu(type: number): number;
  /** VFIO_GROUP_FLAGS_*. */
  groupStatus(): number;
  setContainer(container: NativeVfioFile): number;
  device(name: string): NativeVfioFile | number;
  /** Flags, regions, IRQs. */
  deviceInfo(): number[] | number;
  /** Flags, count. */
  irqInfo(index: number): number[] | number;
  /** Sets an event or none for each IRQ from `start` on, or does the action to so many of them. */
  setIrqs(action: number, index: number, start: number, events: readonly (NativeEventFd | null)[] | number): number;
  /** Flags, size. */
  regionInfo(index: number): number[] | number;
  readRegion(index: number, offset: number, bytes: Uint8Array): number;
  writeRegion(index: number, offset: number, bytes: Uint8Array): number;
  close(): void;
}

export interface NativeStats {
  /** How many bytes of the statistics, from `offset` on, it put into `buffer`. */
  read(offset: number, buffer: Uint8Array): number;
  close(): void;
}

export interface NativeVcpu extends NativeHandle, NativeDesk {
  /** The mapped struct kvm_run and the pages behind it; detached by `close`. A new buffer when the last was moved away. */
  readonly kvmRun: ArrayBuffer;
  /** The same in a buffer that users never see, so that none of them can move it away. */
  readonly ownKvmRun: ArrayBuffer;
  /**
   * Makes KVM finish what the last exit left to do and act on its pending requests, without running the guest: 0 if that
   * made an exit, which lies in kvm_run; -EINTR if it made none; else the errno of KVM_RUN, negated.
   */
  settle(): number;
  /** Starts the vCPU's thread; gives the memory of the ring, if there is a plan. `onNews` must not throw. */
  start(onNews: NativeNews, vcpuId: number, reasons: null): null;
  start(
    onNews: NativeNews,
    vcpuId: number,
    reasons: Uint8Array,
    capacity: number,
    unionBytes: number,
    ioBytes: number,
    watermark: number,
    rip: boolean,
  ): ArrayBuffer;
  /** Starts the vCPU's thread, its exits into the log. */
  startInto(onNews: NativeNews, vcpuId: number, log: NativeExitLog): null;
  /**
   * Enters the guest again and again, its exits into the log. 0: kvm_run holds one that somebody is to look at; -ETIME: the
   * limit on the desk came first, or `most` exits; else the errno of KVM_RUN, negated. The time of that exit goes to the desk.
   */
  runInto(log: NativeExitLog, vcpuId: number, most: number): number;
  /** Into the guest again; the last news were that it is out. */
  resume(): void;
  /** Out of KVM_RUN, once or to stay out: the number that `acked` will reach; 0: it is out now. */
  kick(): number;
  pause(): number;
  /** Asks the thread to end: its last news have the phase `ended`. */
  halt(): void;
  /** How many records lie in one piece, and giving the first of them back. */
  recordsReady(): number;
  consume(count: number): void;
  /** entries, exits, recorded, kicks, foreign, again, ringStops. */
  counters(): number[];
}

/** The log of a machine's exits: exit-log.ts knows its words and its slots. */
export interface NativeExitLog {
  readonly control: ArrayBuffer;
  begin(reasons: Uint8Array, numbers: Uint32Array): void;
  count(slot: number): boolean;
  /** The slots of that part, live; `null` if none of them has been taken. */
  part(index: number): ArrayBuffer | null;
}

/** Where a vCPU's thread is: `Phase` of the addon. */
export const phases = { running: 0, exit: 1, paused: 2, ringFull: 3, failed: 4, ended: 5 } as const;

/**
 * News of a vCPU's thread, once for all that has happened since the last call. `errno` belongs to `failed`. `held`:
 * kvm_run has an exit that nobody has seen, with its number and its CLOCK_MONOTONIC time in ns.
 */
export type NativeNews = (phase: number, errno: number, acked: number, held: boolean, seq: number, ns: number) => void;

/** What a thread that records is started with: `start` gets it as arguments, so that no getter runs within the call. */
export interface NativeRecordPlan {
  reasons: number[];
  capacity: number;
  unionBytes: number;
  ioBytes: number;
  /** How many waiting records make the thread tell of them. */
  watermark: number;
  rip: boolean;
}

export interface NativeMapping {
  /** Copies as many bytes as the buffer has, from `offset` on; the other way `write`. */
  read(offset: number, into: Uint8Array): void;
  write(offset: number, bytes: Uint8Array): void;
  /** All of it, live; detached by `close`. A new buffer when the last was moved away. */
  readonly buffer: ArrayBuffer;
  close(): void;
}

interface Addon extends NativeCalls {
  System: new (path: string) => NativeSystem;
  Mapping: new (bytes: number) => NativeMapping;
  EventFd: new () => NativeEventFd;
  ExitLog: new () => NativeExitLog;
  VfioFile: new (name: string) => NativeVfioFile;
  deviceAttr(
    handle: NativeHandle,
    request: number,
    group: number,
    attr: bigint,
    payload: Uint8Array | null,
    event: NativeEventFd | null,
  ): number;
  statsOf(handle: NativeHandle): NativeStats | number;
  reseedRandom(seed: Uint8Array): number;
}

let loaded: Addon | undefined;

function addon(): Addon {
  if (loaded) return loaded;
  const require = createRequire(import.meta.url);
  try {
    loaded = require('node-gyp-build')(packageRoot) as Addon;
  } catch (cause) {
    throw new NativeLoadError(packageRoot, existsSync(`${packageRoot}/binding.gyp`), cause);
  }
  return loaded;
}

/** The addon's calls of the hot path. */
export function nativeCalls(): NativeCalls {
  return addon();
}

/** Opens a KVM device. Throws what `open` answers as an `IoctlError` whose ioctl is `open`. */
export function openSystem(path: string): NativeSystem {
  const { System } = addon();
  return translated(() => new System(path));
}

/** Maps `bytes` of zeroed memory for a guest. */
export function createMapping(bytes: number): NativeMapping {
  const { Mapping } = addon();
  return translated(() => new Mapping(bytes));
}

/** An eventfd whose counter is 0. */
export function createEventFd(): NativeEventFd {
  const { EventFd } = addon();
  return translated(() => new EventFd());
}

/** A log without exits. */
export function createExitLog(): NativeExitLog {
  const { ExitLog } = addon();
  return translated(() => new ExitLog());
}

/** Opens a file of /dev/vfio: `vfio`, or a group's. Throws what `open` answers. */
export function openVfioFile(name: string): NativeVfioFile {
  const { VfioFile } = addon();
  return translated(() => new VfioFile(name));
}

/**
 * Makes a seed of at most 256 bytes part of the kernel's entropy, and what it gives from now on come from that. Takes
 * CAP_SYS_ADMIN. Throws what the ioctls answer. Source: RNDADDENTROPY and RNDRESEEDCRNG in include/uapi/linux/random.h.
 */
export function reseedRandom(seed: Uint8Array): void {
  const result = addon().reseedRandom(seed);
  if (result < 0) throw systemCallError('RNDRESEEDCRNG', result);
}

/** KVM_SET/GET/HAS_DEVICE_ATTR on a System, a Vm or a Vcpu: 0, or the errno negated. */
export function deviceAttrOf(
  handle: NativeHandle,
  request: number,
  group: number,
  attr: bigint,
  payload: Uint8Array | null,
): number {
  return translated(() => addon().deviceAttr(handle, request, group, attr, payload, null));
}

/** KVM_GET_STATS_FD of a Vm or a Vcpu, or the errno negated. */
export function statsOf(handle: NativeHandle): NativeStats | number {
  return translated(() => addon().statsOf(handle));
}

/** Runs a call into the addon and turns what it throws into this package's errors. */
export function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw translate(error);
  }
}

/** What the addon threw, as this package's error. */
export function translate(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { errno, syscall, code } = error as NodeJS.ErrnoException;
  if (typeof errno === 'number' && syscall) return systemCallError(syscall, errno);
  // What C++ throws where it finds no memory.
  if (error.message === 'std::bad_alloc') return systemCallError('malloc', constants.errno.ENOMEM);
  if (code === 'ERR_CLOSED') return new ClosedError(error.message.replace(/ is closed$/, ''));
  if (code === 'ERR_VIEW_SIZE') return new ViewSizeError(error.message);
  if (code === 'ERR_IOCTL_REFUSED') return new RefusedIoctlError(error.message);
  if (code === 'ERR_ARGUMENT')
    return new ArgumentError('argument', error.message, 'Call the typed method for this request instead.');
  return error;
}
