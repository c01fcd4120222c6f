import type { CapabilityName } from '../../abi/kvm/capability.ts';
import { type GsiRoute, type IrqchipName, irqchipIds, type MsiMessage, routingEntry } from '../../abi/kvm/gsi-route.ts';
import {
  encodeGsiRouting,
  KVM_IOAPIC_NUM_PINS,
  KVM_IRQFD_FLAG_DEASSIGN,
  KVM_PIT_SPEAKER_DUMMY,
  type KvmIoapicState,
  type KvmPicState,
  type KvmPitState2,
  kvmIoapicState,
  kvmIrqchip,
  kvmIrqLevel,
  kvmMsi,
  kvmPicState,
  kvmPitConfig,
  kvmPitState2,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkChoice, checkInstance, checkInteger, checkList, checkObject } from '../../base/check.ts';
import { IoctlError } from '../../base/errors.ts';
import { NoIrqchipError } from '../errors.ts';
import { EventFd } from '../eventfd.ts';
import { translated } from '../native.ts';
import type { IrqLineStatus } from './acts.ts';
import { VmMemory } from './memory.ts';

/** The number of GSIs that the kernel's IOAPIC would have had: what a split irqchip usually reserves. */
const IOAPIC_PINS = KVM_IOAPIC_NUM_PINS;
const MAX_U32 = 0xffff_ffff;

/** Which interrupt controllers the kernel has for this VM. */
export type IrqchipKind = 'none' | 'full' | 'split';

/** A VM's interrupt controllers, interrupt lines, messages and timers. */
export abstract class VmIrq extends VmMemory {
  #irqchip: IrqchipKind = 'none';
  #pit: number | null = null;
  #routes: readonly GsiRoute[] | null = null;

  /** What `createIrqchip` or `enableSplitIrqchip` made. */
  get irqchip(): IrqchipKind {
    return this.#irqchip;
  }

  /**
   * KVM_CREATE_IRQCHIP: PICs, IOAPIC and, for each vCPU made afterwards, a local APIC, all in the kernel.
   *
   * @throws IoctlError (EEXIST if there is one; EINVAL after a vCPU was made; ENOTTY if the kernel has no IOAPIC)
   */
  createIrqchip(): void {
    this.ioctl(ioctls.KVM_CREATE_IRQCHIP, undefined, 'Call it once per VM, before the first createVcpu().');
    this.#irqchip = 'full';
  }

  /**
   * KVM_CAP_SPLIT_IRQCHIP: local APICs in the kernel, PICs and IOAPIC left to user space.
   *
   * @param gsis how many GSIs are kept for user space's IOAPIC, 0 to 4096
   * @throws UnsupportedError; IoctlError (KVM_ENABLE_CAP: EEXIST, EINVAL)
   */
  enableSplitIrqchip(gsis = IOAPIC_PINS): void {
    checkInteger('gsis', gsis, 0, 4096);
    this.enableCap('KVM_CAP_SPLIT_IRQCHIP', [BigInt(gsis)]);
  }

  override enableCap(cap: CapabilityName, args: readonly bigint[] = []): void {
    super.enableCap(cap, args);
    if (cap === 'KVM_CAP_SPLIT_IRQCHIP') this.#irqchip = 'split';
  }

  /**
   * KVM_GET_IRQCHIP: a PIC (`picMaster`, `picSlave`) or the IOAPIC.
   *
   * @throws NoIrqchipError on a VM without full irqchip; ArgumentError
   */
  getIrqchip(chip: 'ioapic'): KvmIoapicState;
  getIrqchip(chip: 'picMaster' | 'picSlave'): KvmPicState;
  getIrqchip(chip: IrqchipName): KvmPicState | KvmIoapicState {
    checkChoice('chip', chip, Object.keys(irqchipIds) as IrqchipName[]);
    const argument = kvmIrqchip.encode({ chipId: irqchipIds[chip] });
    this.#irqchipIoctl(ioctls.KVM_GET_IRQCHIP, argument);
    const { chip: bytes } = kvmIrqchip.decode(argument);
    return chip === 'ioapic' ? kvmIoapicState.decode(bytes) : kvmPicState.decode(bytes);
  }

  /** KVM_SET_IRQCHIP: the fields that `state` names; the others keep their values. Throws like `getIrqchip`. */
  setIrqchip(chip: 'ioapic', state: Partial<KvmIoapicState>): void;
  setIrqchip(chip: 'picMaster' | 'picSlave', state: Partial<KvmPicState>): void;
  setIrqchip(chip: IrqchipName, state: Partial<KvmPicState> | Partial<KvmIoapicState>): void {
    checkChoice('chip', chip, Object.keys(irqchipIds) as IrqchipName[]);
    checkObject('state', state);
    const bytes =
      chip === 'ioapic'
        ? kvmIoapicState.encode({ ...this.getIrqchip(chip), ...(state as Partial<KvmIoapicState>) })
        : kvmPicState.encode({ ...this.getIrqchip(chip), ...(state as Partial<KvmPicState>) });
    this.#irqchipIoctl(ioctls.KVM_SET_IRQCHIP, kvmIrqchip.encode({ chipId: irqchipIds[chip], chip: bytes }));
  }

  #irqchipIoctl(request: number, argument: Uint8Array): number {
    try {
      return this.ioctl(request, argument);
    } catch (error) {
      if (error instanceof IoctlError && error.errnoName === 'ENXIO')
        throw new NoIrqchipError(error.ioctl, error.errno);
      throw error;
    }
  }

  /**
   * KVM_CREATE_PIT2: the i8254 timer on ports 0x40..0x43, wired to gsi 0.
   *
   * @param options.speakerDummy handle port 0x61 as well, as a speaker that is silent. Default false
   * @throws NoIrqchipError on a VM without full irqchip; IoctlError (KVM_CREATE_PIT2: EEXIST, EINVAL)
   */
  createPit2(options: { speakerDummy?: boolean } = {}): void {
    const flags = checkObject('options', options).speakerDummy ? KVM_PIT_SPEAKER_DUMMY : 0;
    try {
      this.ioctl(ioctls.KVM_CREATE_PIT2, kvmPitConfig.encode({ flags }), 'Call it once per VM.');
    } catch (error) {
      // The kernel answers ENOENT.
      if (error instanceof IoctlError && this.#irqchip !== 'full') throw new NoIrqchipError(error.ioctl, error.errno);
      throw error;
    }
    this.#pit = flags;
  }

  /** KVM_GET_PIT2: the timer's three channels. Throws NoIrqchipError on a VM without PIT. */
  getPit2(): KvmPitState2 {
    const argument = new Uint8Array(kvmPitState2.size);
    this.#irqchipIoctl(ioctls.KVM_GET_PIT2, argument);
    return kvmPitState2.decode(argument);
  }

  /** KVM_SET_PIT2. Throws NoIrqchipError on a VM without PIT. */
  setPit2(state: KvmPitState2): void {
    this.#irqchipIoctl(ioctls.KVM_SET_PIT2, kvmPitState2.encode(checkObject('state', state)));
  }

  /** The flags that `createPit2` made the timer with, or `null`. */
  get pitFlags(): number | null {
    return this.#pit;
  }

  /**
   * KVM_REINJECT_CONTROL: whether the PIT makes up for ticks that the guest missed. After `createPit2` it does.
   *
   * @throws NoIrqchipError on a VM without PIT
   */
  setPitReinject(reinject: boolean): void {
    const native = this.native;
    const result = translated(() => native.reinjectControl(reinject));
    if (result < 0) throw new NoIrqchipError('KVM_REINJECT_CONTROL', -result);
  }

  /**
   * KVM_IRQ_LINE: sets an interrupt line of the PICs and the IOAPIC.
   *
   * @param gsi 0 to 2^32-1
   * @throws NoIrqchipError on a VM without in-kernel irqchip; ArgumentError
   */
  irqLine(gsi: number, level: boolean): void {
    this.#irqchipIoctl(ioctls.KVM_IRQ_LINE, encodeLine(gsi, level));
    this.acted({ ioctl: 'KVM_IRQ_LINE', gsi, level: !!level });
  }

  /** KVM_IRQ_LINE_STATUS: like `irqLine`, and tells what became of it. */
  irqLineStatus(gsi: number, level: boolean): IrqLineStatus {
    const argument = encodeLine(gsi, level);
    this.#irqchipIoctl(ioctls.KVM_IRQ_LINE_STATUS, argument);
    const vcpus = new DataView(argument.buffer).getInt32(0, true);
    const status = vcpus > 0 ? { delivered: vcpus } : vcpus === 0 ? 'coalesced' : 'ignored';
    this.acted({ ioctl: 'KVM_IRQ_LINE_STATUS', gsi, level: !!level, status });
    return status;
  }

  /**
   * KVM_SIGNAL_MSI: an interrupt as a device's message.
   *
   * @returns true if it was delivered, false if the guest blocked it
   * @throws NoIrqchipError on a VM without in-kernel LAPICs; ArgumentError; IoctlError (KVM_SIGNAL_MSI: EINVAL)
   */
  signalMsi(message: MsiMessage): boolean {
    checkMsi(message);
    const { addressLo, addressHi = 0, data } = message;
    let delivered: boolean;
    try {
      delivered = this.ioctl(ioctls.KVM_SIGNAL_MSI, kvmMsi.encode({ addressLo, addressHi, data })) > 0;
    } catch (error) {
      if (error instanceof IoctlError && this.#irqchip === 'none') throw new NoIrqchipError(error.ioctl, error.errno);
      throw error;
    }
    this.acted({ ioctl: 'KVM_SIGNAL_MSI', message: { addressLo, addressHi, data }, delivered });
    return delivered;
  }

  /**
   * KVM_SET_GSI_ROUTING: replaces all routes. A gsi may lead to a PIC and the IOAPIC at once, or to one message.
   *
   * @param routes gsi 0 to KVM_CAP_IRQ_ROUTING - 1 (4095); pin 0..7 of a PIC, 0..23 of the IOAPIC
   * @throws ArgumentError; IoctlError (KVM_SET_GSI_ROUTING: EINVAL for routes that contradict each other or lead to a chip
   *   that the VM lacks, E2BIG)
   */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    for (const route of checkList('routes', routes)) checkRoute(route);
    this.ioctl(ioctls.KVM_SET_GSI_ROUTING, encodeGsiRouting(routes.map(routingEntry)));
    this.#routes = routes.map((route) => ({ ...route }));
  }

  /** What `setGsiRouting` set last; `null` for the routes that the irqchip came with. The kernel cannot be asked. */
  get gsiRouting(): readonly GsiRoute[] | null {
    return this.#routes;
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
    this.#irqfd(event, gsi, 0, checkObject('options', options).resample ?? null);
  }

  /** KVM_IRQFD_FLAG_DEASSIGN: undoes `assignIrqfd`. The kernel does not mind if there was none. */
  deassignIrqfd(event: EventFd, gsi: number): void {
    this.#irqfd(event, gsi, KVM_IRQFD_FLAG_DEASSIGN, null);
  }

  #irqfd(event: EventFd, gsi: number, flags: number, resample: EventFd | null): void {
    checkInstance('event', event, EventFd);
    if (resample !== null) checkInstance('resample', resample, EventFd);
    checkInteger('gsi', gsi, 0, MAX_U32);
    const native = this.native;
    const result = translated(() => native.irqfd(event.native, gsi, flags, resample?.native ?? null));
    if (result >= 0) return;
    if (this.#irqchip === 'none') throw new NoIrqchipError('KVM_IRQFD', -result);
    throw new IoctlError('KVM_IRQFD', -result);
  }
}

function encodeLine(gsi: number, level: boolean): Uint8Array<ArrayBuffer> {
  return kvmIrqLevel.encode({ irq: checkInteger('gsi', gsi, 0, MAX_U32), level: level ? 1 : 0 });
}

function checkMsi(message: MsiMessage): void {
  const { addressLo, addressHi = 0, data } = checkObject('message', message);
  checkInteger('addressLo', addressLo, 0, MAX_U32);
  checkInteger('addressHi', addressHi, 0, MAX_U32);
  checkInteger('data', data, 0, MAX_U32);
}

/** Throws ArgumentError for a route that is none. */
export function checkRoute(route: GsiRoute): void {
  checkObject('route', route);
  checkInteger('gsi', route.gsi, 0, MAX_U32);
  const { type } = route;
  if (type === 'msi') checkMsi(route);
  else if (type === 'irqchip') {
    checkChoice('irqchip', route.irqchip, Object.keys(irqchipIds) as IrqchipName[]);
    checkInteger('pin', route.pin, 0, route.irqchip === 'ioapic' ? KVM_IOAPIC_NUM_PINS - 1 : 7);
  } else if (type === 'hvSint') {
    checkInteger('vcpu', route.vcpu, 0, MAX_U32);
    checkInteger('sint', route.sint, 0, 15);
  } else checkChoice<string>('type', type, ['irqchip', 'msi', 'hvSint']);
}
