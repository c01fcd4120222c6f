/** The front of all that a VM has. */

import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { type CapabilityName, knownCapability } from '../../abi/kvm/capability.ts';
import type { CoalescedWrite } from '../../abi/kvm/coalesced-ring.ts';
import type { GsiRoute, IrqchipName, MsiMessage } from '../../abi/kvm/gsi-route.ts';
import {
  KVM_IOAPIC_NUM_PINS,
  type KvmClockData,
  type KvmIoapicState,
  type KvmPicState,
  type KvmPitState2,
} from '../../abi/kvm/index.ts';
import { ioctlName, ioctls } from '../../abi/kvm/ioctl.ts';
import type { RunBudget } from '../../base/budget.ts';
import { checkInteger } from '../../base/check.ts';
import { Desk } from '../desk.ts';
import { type Device, type DeviceAttr, handleHasAttr } from '../device.ts';
import type { EnabledCap } from '../enable-cap.ts';
import type { EventFd } from '../eventfd.ts';
import { KvmHandle } from '../handle.ts';
import { type NativeVm, nativeCalls } from '../native.ts';
import { readStats, type Stat } from '../stats.ts';
import type { ExitLog } from '../vcpu/run/exit-log.ts';
import type { Vcpu } from '../vcpu/vcpu.ts';
import type { VfioPseudoDevice } from '../vfio/kvm-device.ts';
import type { IrqLineStatus, VmActListener } from './acts.ts';
import { Capabilities } from './capabilities.ts';
import { Clock } from './clock.ts';
import { Coalesced, type CoalescedZone } from './coalesced.ts';
import { Devices } from './devices.ts';
import type { IrqchipKind, VmCalls, VmHost } from './host.ts';
import { type ApicBaseReplay, Injection, type IpiReplay, type ReplayOptions, type X2apicReplay } from './injection.ts';
import { type IoEvent, Ioeventfds } from './ioeventfd.ts';
import { Irqchip } from './irqchip.ts';
import { Lines } from './lines.ts';
import { type MappedSlot, type MemorySlot, MemorySlots } from './memory.ts';
import { type MsrFilter, setMsrFilter } from './msr-filter.ts';
import { Setup, type VmSetup } from './setup.ts';
import { Vcpus } from './vcpus.ts';
import { Vlpi } from './vlpi.ts';

export type { EnabledCap } from '../enable-cap.ts';
export type { IrqLineStatus } from './acts.ts';
export type { IrqchipKind } from './host.ts';
export { type MappedSlot, type MemorySlot, smmSlot } from './memory.ts';
export type { VmSetup } from './setup.ts';

/** What a VM has of the KVM device that it was made with. */
export interface VmOrigin {
  readonly profile: DsmProfile;
  readonly budget: RunBudget;
}

/** For `setTssAddr`: below the BIOS area at the end of 4 GiB, where no machine of this package has memory. */
export const TSS_ADDRESS = 0xfffb_d000;

/**
 * A virtual machine: its lifetime, and a line for each call. What a call does stands in the part that has its state; the
 * docstrings are here, where the callers see them, and make this file as long as it is.
 */
export class Vm extends KvmHandle<NativeVm> {
  readonly #origin: VmOrigin;
  readonly #listeners: VmActListener[] = [];
  /** Those of them that hear of messages, too. */
  readonly #ofMessages: VmActListener[] = [];
  readonly #capabilities: Capabilities;
  readonly #memory: MemorySlots;
  readonly #setup: Setup;
  readonly #vcpus: Vcpus;
  readonly #irqchip: Irqchip;
  readonly #lines: Lines;
  readonly #ioeventfds: Ioeventfds;
  readonly #coalesced: Coalesced;
  readonly #clock: Clock;
  readonly #devices: Devices;
  readonly #injection: Injection;
  readonly #vlpi: Vlpi;

  /** @internal A VM comes from `kvm.createVm()`. */
  constructor(native: NativeVm, origin: VmOrigin) {
    super(native, 'the VM');
    this.#origin = origin;
    const desk = new Desk(native, nativeCalls().askVm);
    const { sendMsi } = nativeCalls();
    const calls: VmCalls = Object.assign(this.calls, {
      argument: desk.argument,
      sendMsi: () => {
        void this.native;
        return this.answered(ioctls.KVM_SIGNAL_MSI, desk.call(sendMsi));
      },
      ask: (request: number) => {
        void this.native;
        return this.answered(request, desk.ask(request));
      },
    });
    this.#irqchip = new Irqchip(calls);
    this.#capabilities = new Capabilities(calls, (cap) => this.#irqchip.enabled(cap));
    this.#setup = new Setup(calls);
    this.#memory = new MemorySlots(
      calls,
      () => this.irqchip,
      () => this.setup,
    );
    this.#vcpus = new Vcpus(calls, {
      ...origin,
      hasMemory: () => this.hasMemory,
      checkExtension: (cap) => this.checkExtension(cap),
      irqchip: () => this.irqchip,
    });
    const [listeners, ofMessages] = [this.#listeners, this.#ofMessages];
    const host: VmHost = {
      get isHeard() {
        return listeners.length > 0;
      },
      get hasMessagesHeard() {
        return ofMessages.length > 0;
      },
      profile: origin.profile,
      vcpus: this.#vcpus.byId,
      irqchip: () => this.irqchip,
      acted: (act) => {
        for (const listener of act.ioctl === 'KVM_SIGNAL_MSI' ? ofMessages : listeners) listener(act);
      },
    };
    this.#lines = new Lines(calls, host);
    this.#ioeventfds = new Ioeventfds(calls);
    this.#coalesced = new Coalesced(calls);
    this.#clock = new Clock(calls);
    this.#devices = new Devices(calls);
    this.#injection = new Injection(calls, host);
    this.#vlpi = new Vlpi(calls, host);
  }

  /** Whose exits and ioctls are meant: as the KVM device was opened with. */
  get profile(): DsmProfile {
    return this.#origin.profile;
  }

  /** @internal The series' own requests have their names, too. */
  protected override requestName(request: number): string {
    return ioctlName(request, this.profile.requests);
  }

  /** It may do what no method here does. */
  override ioctlRaw(request: number, argument?: ArrayBufferView | number): number {
    for (const vcpu of this.vcpus.values()) vcpu.forgetApicBase();
    return super.ioctlRaw(request, argument);
  }

  /** @internal From now on the listener gets each interrupt that this VM is told to raise, whoever asks for it. */
  onAct(listener: VmActListener): void {
    this.#listeners.push(listener);
    this.#ofMessages.push(listener);
  }

  /**
   * @internal The same for somebody who reads messages (KVM_SIGNAL_MSI) in the log: each that the kernel takes is there, with its
   * time, when `logged` is called, and the listener does not get it. A script may send one each microsecond.
   */
  onActInto(log: ExitLog, logged: () => void, listener: VmActListener): void {
    this.#lines.logMessages(log, logged);
    this.#listeners.push(listener);
  }

  /**
   * Closes the vCPUs, then the VM. Memory that it mapped stays with its owner.
   *
   * @throws VcpuStopError of the first vCPU whose thread does not end; all the others and the VM are closed by then
   */
  override close(): void {
    const failures = this.#vcpus.close();
    super.close();
    if (failures.length > 0) throw failures[0];
  }

  // Capabilities

  /** KVM_CHECK_EXTENSION on this VM: 0 if it lacks the capability, else 1 or a value that the capability defines. */
  checkExtension(cap: CapabilityName | number): number {
    return this.#capabilities.check(cap);
  }

  /**
   * KVM_ENABLE_CAP on this VM.
   *
   * @param cap by its number where it is a profile's, and none of mainline's
   * @param args up to four values that the capability defines
   * @throws UnsupportedError if the VM lacks the capability; RefusedIoctlError for one whose arguments are an address or
   *   a file descriptor; IoctlError (KVM_ENABLE_CAP); ArgumentError
   */
  enableCap(cap: CapabilityName | number, args: readonly bigint[] = []): void {
    const known = knownCapability(cap);
    if (known === 'KVM_CAP_SPLIT_IRQCHIP') this.#memory.checkControllers(known, 'split');
    this.#capabilities.enable(known, args);
  }

  /** What `enableCap` enabled, in order. */
  get enabledCaps(): readonly EnabledCap[] {
    return this.#capabilities.enabled;
  }

  /**
   * KVM_CAP_X86_USER_SPACE_MSR: which MSR accesses leave by KVM_EXIT_X86_RDMSR and KVM_EXIT_X86_WRMSR instead of a #GP.
   * `vcpu.completeRdmsr`, `completeWrmsr` and `failMsr` answer them.
   *
   * @param reasons KVM_MSR_EXIT_REASON_* bits: INVAL 1 (a value or bit that the MSR does not have), UNKNOWN 2 (an MSR that
   *   KVM does not know), FILTER 4 (one that the filter denies); 0 switches it off
   */
  enableUserSpaceMsr(reasons: number): void {
    this.#capabilities.enableUserSpaceMsr(reasons);
  }

  /**
   * KVM_CAP_X2APIC_API: how KVM_GET/SET_LAPIC, KVM_SIGNAL_MSI and routes see APIC ids above 255.
   *
   * @param flags KVM_X2APIC_API_* bits: USE_32BIT_IDS 1, DISABLE_BROADCAST_QUIRK 2
   * @throws UnsupportedError; IoctlError (KVM_ENABLE_CAP: EINVAL for a bit that the kernel does not know)
   */
  enableX2apicApi(flags: number): void {
    this.#capabilities.enableX2apicApi(flags);
  }

  // Memory

  /** The slots that have memory, by number. */
  get slots(): ReadonlyMap<number, MappedSlot> {
    return this.#memory.all;
  }

  /** True once a slot has memory: before that a vCPU has nothing to execute. */
  get hasMemory(): boolean {
    return this.#memory.all.size > 0;
  }

  /**
   * Puts memory into a slot that has none; of a slot that has some, it moves it (another `guestPhysAddr`) or changes its
   * `logDirtyPages`. The kernel changes neither size nor memory nor `readonly`: remove the slot first.
   *
   * With in-kernel interrupt controllers the pages of the local APICs (0xfee00000) and of the IOAPIC (0xfec00000) stay free;
   * without them they may be memory.
   *
   * @throws MemoryAlignmentError, MemoryOverlapError, ReservedMemoryError, ArgumentError before the ioctl;
   *   IoctlError (KVM_SET_USER_MEMORY_REGION: EINVAL for a slot beyond KVM_CAP_NR_MEMSLOTS or a change that is not
   *   allowed, ENOMEM)
   */
  setMemory(slot: MemorySlot): void {
    this.#memory.set(slot);
  }

  /** Empties a slot. Throws IoctlError (KVM_SET_USER_MEMORY_REGION: EINVAL for a slot that is empty). */
  removeMemory(slot: number): void {
    this.#memory.remove(slot);
  }

  /**
   * KVM_GET_DIRTY_LOG: the numbers of the slot's pages (0 is its first) that were written since the last call, ascending.
   * The kernel then forgets them; with KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 enabled it keeps them until `clearDirtyLog`.
   *
   * @throws ArgumentError for a slot without memory; IoctlError (KVM_GET_DIRTY_LOG: ENOENT for a slot that does not log)
   */
  getDirtyLog(slot: number): number[] {
    return this.#memory.getDirtyLog(slot);
  }

  /**
   * KVM_CLEAR_DIRTY_LOG: the kernel forgets that these pages were written, and notices the next write. For a VM with
   * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 enabled (args[0] = 1).
   *
   * @param pages numbers of pages of the slot; 0 is its first
   * @throws ArgumentError; IoctlError (KVM_CLEAR_DIRTY_LOG: ENOENT for a slot that does not log, EINVAL)
   */
  clearDirtyLog(slot: number, pages: readonly number[]): void {
    this.#memory.clearDirtyLog(slot, pages);
  }

  // What is set before the first vCPU

  /** KVM_SET_TSS_ADDR: three pages below 4 GiB that Intel hosts without unrestricted guests need. Throws IoctlError (EINVAL). */
  setTssAddr(guestPhysAddr: number): void {
    const set = () => this.#setup.setTssAddr(guestPhysAddr);
    this.#memory.named('KVM_SET_TSS_ADDR', this.slots.values(), set, guestPhysAddr);
  }

  /**
   * KVM_SET_IDENTITY_MAP_ADDR: one page below 4 GiB for the same hosts. 0 is the default, 0xfffbc000.
   *
   * @throws ArgumentError; IoctlError (EINVAL after a vCPU was made)
   */
  setIdentityMapAddr(guestPhysAddr: number | bigint): void {
    this.#setup.setIdentityMapAddr(guestPhysAddr);
  }

  /** KVM_SET_BOOT_CPU_ID: which vcpu_id starts without INIT and SIPI; 0 if nobody says. Throws IoctlError (EBUSY after a vCPU was made). */
  setBootCpuId(vcpuId: number): void {
    this.#setup.setBootCpuId(vcpuId);
  }

  /** What `setTssAddr`, `setIdentityMapAddr` and `setBootCpuId` set. */
  get setup(): VmSetup {
    return this.#setup.state;
  }

  // vCPUs

  /** The vCPUs, by vcpu_id, in the order of their making. */
  get vcpus(): ReadonlyMap<number, Vcpu> {
    return this.#vcpus.byId;
  }

  /**
   * KVM_CREATE_VCPU.
   *
   * @param vcpuId its APIC id at reset: 0 to KVM_CAP_MAX_VCPU_ID - 1
   * @throws VcpuIdError, VcpuExistsError before the ioctl; ReservedMemoryError if memory lies where KVM on Intel keeps a
   *   page of its own; IoctlError (KVM_CREATE_VCPU: EINVAL beyond
   *   KVM_CAP_MAX_VCPUS, ENOMEM, EMFILE)
   */
  createVcpu(vcpuId: number): Vcpu {
    return this.#memory.named('KVM_CREATE_VCPU', this.slots.values(), () => this.#vcpus.create(vcpuId));
  }

  // Interrupt controllers and the timer

  /** What `createIrqchip` or `enableSplitIrqchip` made. */
  get irqchip(): IrqchipKind {
    return this.#irqchip.kind;
  }

  /**
   * KVM_CREATE_IRQCHIP: PICs, IOAPIC and, for each vCPU made afterwards, a local APIC, all in the kernel.
   *
   * @throws IoctlError (EEXIST if there is one; EINVAL after a vCPU was made; ENOTTY if the kernel has no IOAPIC)
   */
  createIrqchip(): void {
    this.#memory.checkControllers('KVM_CREATE_IRQCHIP', 'full');
    this.#irqchip.create();
  }

  /**
   * KVM_CAP_SPLIT_IRQCHIP: local APICs in the kernel, PICs and IOAPIC left to user space.
   *
   * @param gsis how many GSIs are kept for user space's IOAPIC, 0 to 4096
   * @throws UnsupportedError; IoctlError (KVM_ENABLE_CAP: EEXIST, EINVAL)
   */
  enableSplitIrqchip(gsis: number = KVM_IOAPIC_NUM_PINS): void {
    this.#memory.checkControllers('KVM_CAP_SPLIT_IRQCHIP', 'split');
    this.#capabilities.enableSplitIrqchip(gsis);
  }

  /**
   * KVM_GET_IRQCHIP: a PIC (`picMaster`, `picSlave`) or the IOAPIC.
   *
   * @throws NoIrqchipError on a VM without full irqchip; ArgumentError
   */
  getIrqchip(chip: 'ioapic'): KvmIoapicState;
  getIrqchip(chip: 'picMaster' | 'picSlave'): KvmPicState;
  getIrqchip(chip: IrqchipName): KvmPicState | KvmIoapicState {
    return this.#irqchip.get(chip);
  }

  /** KVM_SET_IRQCHIP: the fields that `state` names; the others keep their values. Throws like `getIrqchip`. */
  setIrqchip(chip: 'ioapic', state: Partial<KvmIoapicState>): void;
  setIrqchip(chip: 'picMaster' | 'picSlave', state: Partial<KvmPicState>): void;
  setIrqchip(chip: IrqchipName, state: Partial<KvmPicState> | Partial<KvmIoapicState>): void {
    this.#irqchip.set(chip, state);
  }

  /**
   * KVM_CREATE_PIT2: the i8254 timer on ports 0x40..0x43, wired to gsi 0.
   *
   * @param options.speakerDummy handle port 0x61 as well, as a speaker that is silent. Default false
   * @throws NoIrqchipError on a VM without full irqchip; IoctlError (KVM_CREATE_PIT2: EEXIST, EINVAL)
   */
  createPit2(options: { speakerDummy?: boolean } = {}): void {
    this.#irqchip.createPit2(options);
  }

  /** KVM_GET_PIT2: the timer's three channels. Throws NoIrqchipError on a VM without PIT. */
  getPit2(): KvmPitState2 {
    return this.#irqchip.getPit2();
  }

  /** KVM_SET_PIT2. Throws NoIrqchipError on a VM without PIT. */
  setPit2(state: KvmPitState2): void {
    this.#irqchip.setPit2(state);
  }

  /** The flags that `createPit2` made the timer with, or `null`. */
  get pitFlags(): number | null {
    return this.#irqchip.pitFlags;
  }

  /**
   * KVM_REINJECT_CONTROL: whether the PIT makes up for ticks that the guest missed. After `createPit2` it does.
   *
   * @throws NoIrqchipError on a VM without PIT
   */
  setPitReinject(reinject: boolean): void {
    this.#irqchip.setPitReinject(reinject);
  }

  // Interrupt lines, messages and their routes

  /**
   * KVM_IRQ_LINE: sets an interrupt line of the PICs and the IOAPIC.
   *
   * @param gsi 0 to 2^32-1
   * @throws NoIrqchipError on a VM without in-kernel irqchip; ArgumentError
   */
  irqLine(gsi: number, level: boolean): void {
    this.#lines.set(gsi, level);
  }

  /** KVM_IRQ_LINE_STATUS: like `irqLine`, and tells what became of it. */
  irqLineStatus(gsi: number, level: boolean): IrqLineStatus {
    return this.#lines.setStatus(gsi, level);
  }

  /**
   * KVM_SIGNAL_MSI: an interrupt as a device's message.
   *
   * @returns true if it was delivered, false if the guest blocked it
   * @throws NoIrqchipError on a VM without in-kernel LAPICs; ArgumentError; IoctlError (KVM_SIGNAL_MSI: EINVAL)
   */
  signalMsi(message: MsiMessage): boolean {
    return this.#lines.signalMsi(message);
  }

  /**
   * KVM_SET_GSI_ROUTING: replaces all routes. A gsi may lead to a PIC and the IOAPIC at once, or to one message.
   *
   * @param routes gsi 0 to KVM_CAP_IRQ_ROUTING - 1 (4095); pin 0..7 of a PIC, 0..23 of the IOAPIC
   * @throws ArgumentError; IoctlError (KVM_SET_GSI_ROUTING: EINVAL for routes that contradict each other or lead to a chip
   *   that the VM lacks, E2BIG)
   */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    this.#lines.setRouting(routes);
  }

  /** What `setGsiRouting` set last; `null` for the routes that the irqchip came with. The kernel cannot be asked. */
  get gsiRouting(): readonly GsiRoute[] | null {
    return this.#lines.routing;
  }

  /**
   * KVM_IRQFD: each write to `event` asserts the gsi, with no system call of this process in between.
   *
   * @param options.resample for a level-triggered line: the kernel sets the line low when the guest ends the interrupt, and
   *   signals this event
   * @throws NoIrqchipError on a VM without in-kernel irqchip; ClosedError; IoctlError (KVM_IRQFD: EBUSY if the event has a
   *   gsi already, EINVAL for a gsi that is out of range)
   */
  assignIrqfd(event: EventFd, gsi: number, options: { resample?: EventFd } = {}): void {
    this.#lines.assignIrqfd(event, gsi, options);
  }

  /** KVM_IRQFD_FLAG_DEASSIGN: undoes `assignIrqfd`. The kernel does not mind if there was none. */
  deassignIrqfd(event: EventFd, gsi: number): void {
    this.#lines.deassignIrqfd(event, gsi);
  }

  // Ports, MMIO and MSRs

  /**
   * KVM_IOEVENTFD: a guest's write there adds 1 to the event and does not leave KVM.
   *
   * @throws ArgumentError; ClosedError; IoctlError (KVM_IOEVENTFD: EEXIST if another event has the same place and
   *   datamatch, EINVAL, ENOSPC)
   */
  assignIoeventfd(event: EventFd, where: IoEvent): void {
    this.#ioeventfds.assign(event, where);
  }

  /** KVM_IOEVENTFD_FLAG_DEASSIGN: undoes it; `where` is what it was assigned with. Throws IoctlError (ENOENT). */
  deassignIoeventfd(event: EventFd, where: IoEvent): void {
    this.#ioeventfds.deassign(event, where);
  }

  /**
   * KVM_REGISTER_COALESCED_MMIO: writes to the zone do not leave KVM, until the ring is full (169 writes) or
   * `drainCoalesced()` takes them.
   *
   * @throws ArgumentError; IoctlError (ENOSPC)
   */
  registerCoalesced(zone: CoalescedZone): void {
    this.#coalesced.register(zone);
  }

  /** KVM_UNREGISTER_COALESCED_MMIO: the zones of that kind within the range. What lies in the ring stays there. */
  unregisterCoalesced(zone: CoalescedZone): void {
    this.#coalesced.unregister(zone);
  }

  /** Takes what all the VM's vCPUs wrote to coalesced zones out of the ring, oldest first. Needs an open vCPU. */
  drainCoalesced(): CoalescedWrite[] {
    return this.#coalesced.drain(this.#vcpus.openRun);
  }

  /**
   * KVM_X86_SET_MSR_FILTER: replaces the filter. A denied MSR is a #GP for the guest, or an exit to user space once
   * `enableUserSpaceMsr` asked for filter exits. It does not filter the x2APIC's MSRs (0x800..0x8ff).
   *
   * @throws ArgumentError; IoctlError (KVM_X86_SET_MSR_FILTER: EINVAL)
   */
  setMsrFilter(filter: MsrFilter): void {
    setMsrFilter(this.calls, filter);
  }

  // Clock, devices, statistics

  /** KVM_GET_CLOCK: kvmclock in ns, and KVM_CLOCK_* flags that say which other fields count. */
  getClock(): KvmClockData {
    return this.#clock.get();
  }

  /**
   * KVM_SET_CLOCK.
   *
   * @param clock ns; with KVM_CLOCK_REALTIME (4) in `flags`, what it was at `realtime`
   * @throws ArgumentError; IoctlError (KVM_SET_CLOCK: EINVAL for a flag that the kernel does not take)
   */
  setClock(clock: Partial<KvmClockData> & { clock: bigint }): void {
    this.#clock.set(clock);
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
    return this.#devices.create(type);
  }

  /** KVM_CREATE_DEVICE_TEST: whether the kernel has that type of device. */
  hasDeviceType(type: number): boolean {
    return this.#devices.has(type);
  }

  /** KVM_HAS_DEVICE_ATTR on the VM itself. Throws IoctlError (ENOTTY where the kernel has none for VMs, as on x86). */
  hasDeviceAttr(which: DeviceAttr): boolean {
    return handleHasAttr(this.native, which);
  }

  /** KVM_GET_STATS_FD, read once: what the kernel counts of this VM, by name. Throws IoctlError (KVM_GET_STATS_FD). */
  stats(): Map<string, Stat> {
    return readStats(this.native);
  }

  // Replay of another machine's writes: DSM

  /**
   * KVM_DSM_IPI: writes a register of a vCPU's LAPIC as its guest would have by MMIO. A write of ICR sends the IPI to the
   * destination in the ICR2 of that LAPIC: replay an ICR2 write first, as the guest made it. No exit comes of it.
   *
   * @param write val 0x300 (ICR) or 0x310 (ICR2), val2 and destId 0 to 2^32-1
   * @throws ArgumentError, NoVcpuError, NoLapicError, ReplayRefusedError (vcpu_id is not the vCPU's index; the LAPIC is not
   *   in xAPIC mode), VcpuBusyError, ClosedError before the ioctl; UnsupportedError without patch 3/3
   */
  dsmIpi(write: IpiReplay, options: ReplayOptions = {}): void {
    this.#injection.dsmIpi(write, options);
  }

  /**
   * KVM_DSM_X2APIC: writes the ICR of a vCPU's LAPIC in x2APIC mode as its guest would have by WRMSR. The kernel sends only
   * what it can resolve at once: an IPI to everyone, or to everyone else, would be lost and is refused here, and a logical
   * destination in a VM whose vCPUs are not all in x2APIC mode may be lost. No exit comes of it.
   *
   * @throws ArgumentError (reserved bits, which the kernel drops the IPI for), NoVcpuError, NoLapicError, ReplayRefusedError
   *   (vcpu_id is not the vCPU's index; the LAPIC is not in x2APIC mode; everyone), VcpuBusyError, ClosedError before the
   *   ioctl; UnsupportedError without patch 3/3
   */
  dsmX2apic(write: X2apicReplay, options: ReplayOptions = {}): void {
    this.#injection.dsmX2apic(write, options);
  }

  /**
   * KVM_DSM_APIC_BASE: writes the IA32_APIC_BASE of a vCPU. The kernel does not tell whether it took the value, so it is
   * read back. No exit comes of it.
   *
   * @throws ArgumentError, NoVcpuError, NoLapicError, ReplayRefusedError (vcpu_id is not the vCPU's index), VcpuBusyError,
   *   ClosedError before the ioctl; UnsupportedError without patch 3/3; ReplayLostError if the kernel did not take the value:
   *   reserved bits, x2APIC without its CPUID bit, or a change of mode that needs `host`
   */
  dsmApicBase(write: ApicBaseReplay, options: ReplayOptions = {}): void {
    this.#injection.dsmApicBase(write, options);
  }

  /**
   * An ioctl whose argument cannot be read: its address is that of a page which nobody may read. A kernel that is right answers
   * EFAULT, whatever the ioctl. For tests of kernels.
   *
   * @param request one that only reads its argument (`_IOW`)
   * @returns the kernel's answer, 0 or more
   * @throws ArgumentError; RefusedIoctlError for another sort of request, and for what `ioctlRaw` refuses; IoctlError; ClosedError
   */
  ioctlUnreadable(request: number): number {
    checkInteger('request', request, 0, 0xffff_ffff);
    return this.call(request, (native) => native.ioctlUnreadable(request));
  }

  // vLPIs of arm64

  /**
   * KVM_ENABLE_VCPU_VLPI: the vCPU gets its LPIs from the hardware. Twice is once.
   *
   * @param vcpuId 0 to 2^31-1
   * @throws ArchitectureError unless this is arm64, ArgumentError, NoVcpuError, ClosedError before the ioctl;
   *   UnsupportedError on a kernel without the series; IoctlError (EINVAL without GICv4)
   */
  enableVcpuVlpi(vcpuId: number): void {
    this.#vlpi.enable(vcpuId);
  }

  /**
   * KVM_DISABLE_VCPU_VLPI: the vCPU gets its LPIs by software again. By the series' own words the interrupts that are
   * pending in the vCPU's table may be lost, so that it is refused unless the caller insists.
   *
   * @param options.insist call it all the same. Default false
   * @throws InterruptLossError without `insist`; else as `enableVcpuVlpi`
   */
  disableVcpuVlpi(vcpuId: number, options: { insist?: boolean } = {}): void {
    this.#vlpi.disable(vcpuId, options);
  }

  /** KVM_QUERY_VCPU_VLPI: true if the vCPU gets its LPIs from the hardware. Throws as `enableVcpuVlpi`. */
  queryVcpuVlpi(vcpuId: number): boolean {
    return this.#vlpi.query(vcpuId);
  }
}
