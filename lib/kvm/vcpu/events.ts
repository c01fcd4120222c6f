import {
  decodeLapic,
  type Lapic,
  type LapicRegisterName,
  lapicRegisters,
  writeLapicRegister,
} from '../../abi/apic/lapic.ts';
import {
  KVM_GUESTDBG_INJECT_BP,
  KVM_GUESTDBG_INJECT_DB,
  type KvmGuestDebug,
  type KvmVcpuEvents,
  kvmGuestDebug,
  kvmInterrupt,
  kvmLapicState,
  kvmMpState,
  kvmVcpuEvents,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkBytes, checkChoice, checkInteger, checkObject } from '../../base/check.ts';
import { IoctlError } from '../../base/errors.ts';
import { NoIrqchipError } from '../errors.ts';
import { type DebugOptions, guestDebug } from './debug.ts';
import { VcpuFeatures } from './features.ts';

/** A vCPU's local APIC, what interrupts it, and what stops it. */
export abstract class VcpuEvents extends VcpuFeatures {
  #guestDebug: Partial<KvmGuestDebug> = { control: 0 };

  /** KVM_GET_LAPIC: the first 1024 bytes of the APIC page. Throws NoIrqchipError (EINVAL without an in-kernel LAPIC). */
  getLapic(): Uint8Array {
    const argument = new Uint8Array(kvmLapicState.size);
    this.#lapicIoctl(ioctls.KVM_GET_LAPIC, argument);
    return argument;
  }

  /** KVM_SET_LAPIC: the first 1024 bytes of the APIC page. Throws NoIrqchipError; IoctlError (EINVAL for another APIC id). */
  setLapic(regs: Uint8Array): void {
    checkBytes('regs', regs, kvmLapicState.size, kvmLapicState.size);
    this.#lapicIoctl(ioctls.KVM_SET_LAPIC, kvmLapicState.encode({ regs }));
  }

  /** KVM_GET_LAPIC, decoded: every register by name, and which vectors are requested and in service. */
  lapic(): Lapic {
    return decodeLapic(this.getLapic());
  }

  /** KVM_SET_LAPIC: the registers that `registers` names, each 0..2^32-1; the others keep their values. */
  setLapicRegisters(registers: Partial<Record<LapicRegisterName, number>>): void {
    const page = this.getLapic();
    for (const [name, value] of Object.entries(checkObject('registers', registers)) as [LapicRegisterName, number][]) {
      checkChoice('name', name, Object.keys(lapicRegisters) as LapicRegisterName[]);
      writeLapicRegister(page, name, value);
    }
    this.setLapic(page);
  }

  #lapicIoctl(request: number, argument: Uint8Array): void {
    try {
      this.ioctl(request, argument);
    } catch (error) {
      // EINVAL means a page that it does not take as well.
      const without = error instanceof IoctlError && error.errnoName === 'EINVAL' && !this.#hasLapic(request);
      throw without ? new NoIrqchipError(error.ioctl, error.errno) : error;
    }
  }

  #hasLapic(failed: number): boolean {
    if (failed === ioctls.KVM_GET_LAPIC) return false;
    try {
      this.read(ioctls.KVM_GET_LAPIC, kvmLapicState.size);
      return true;
    } catch {
      return false;
    }
  }

  /** KVM_GET_MP_STATE: a KVM_MP_STATE_* value. It makes KVM act on an INIT or SIPI that is pending. */
  getMpState(): number {
    return kvmMpState.decode(this.read(ioctls.KVM_GET_MP_STATE, kvmMpState.size)).mpState;
  }

  /** KVM_SET_MP_STATE. Throws IoctlError (EINVAL for a state that x86 does not have). */
  setMpState(mpState: number): void {
    this.ioctl(ioctls.KVM_SET_MP_STATE, kvmMpState.encode({ mpState }));
  }

  /** KVM_GET_VCPU_EVENTS: exceptions, interrupts, NMIs and SMIs that are on their way. */
  getVcpuEvents(): KvmVcpuEvents {
    return kvmVcpuEvents.decode(this.read(ioctls.KVM_GET_VCPU_EVENTS, kvmVcpuEvents.size));
  }

  /**
   * KVM_SET_VCPU_EVENTS: the parts that `events` names; the others keep their values. KVM_VCPUEVENT_VALID_* bits of
   * `flags` say which of the optional fields count.
   *
   * @throws IoctlError (EINVAL for a flag or an exception that the kernel does not take)
   */
  setVcpuEvents(events: Partial<KvmVcpuEvents>): void {
    this.ioctl(
      ioctls.KVM_SET_VCPU_EVENTS,
      kvmVcpuEvents.encode({ ...this.getVcpuEvents(), ...checkObject('events', events) }),
    );
  }

  /**
   * KVM_SET_GUEST_DEBUG: single-step, breakpoints; nothing switches debugging off.
   *
   * @throws ArgumentError; IoctlError (KVM_SET_GUEST_DEBUG)
   */
  debug(options: DebugOptions): void {
    this.setGuestDebug(guestDebug(options));
  }

  /**
   * KVM_SET_GUEST_DEBUG, bit by bit. x86 kernels ignore control bits that they do not know: KVM_CAP_SET_GUEST_DEBUG2 tells.
   *
   * @throws IoctlError (EBUSY if an exception is pending and KVM_GUESTDBG_INJECT_DB or _BP would add one); ArgumentError
   */
  setGuestDebug(debug: Partial<KvmGuestDebug>): void {
    this.ioctl(ioctls.KVM_SET_GUEST_DEBUG, kvmGuestDebug.encode(checkObject('debug', debug)));
    // An injection is once.
    const control = (debug.control ?? 0) & ~(KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP);
    this.#guestDebug = { ...debug, control };
  }

  /** What KVM_SET_GUEST_DEBUG was called with last, without injections: the kernel cannot be asked. */
  get guestDebug(): Readonly<Partial<KvmGuestDebug>> {
    return this.#guestDebug;
  }

  /**
   * KVM_INTERRUPT: an interrupt from a controller in user space. Call it when kvm_run.readyForInterruptInjection is 1.
   *
   * @param vector 0 to 255
   * @throws IoctlError (KVM_INTERRUPT: ENXIO with an in-kernel PIC; with a split irqchip EEXIST if one waits already;
   *   without irqchip the new one takes its place); ArgumentError
   */
  interrupt(vector: number): void {
    this.ioctl(ioctls.KVM_INTERRUPT, kvmInterrupt.encode({ irq: checkInteger('vector', vector, 0, 255) }));
  }

  /** KVM_NMI: the guest gets vector 2 as soon as it can. */
  nmi(): void {
    this.ioctl(ioctls.KVM_NMI);
  }

  /** KVM_SMI. Throws IoctlError (ENOTTY or EINVAL where KVM_CAP_X86_SMM is missing). */
  smi(): void {
    this.ioctl(ioctls.KVM_SMI);
  }
}
