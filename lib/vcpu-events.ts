import { ioctls } from './abi/ioctl.ts';
import { decodeLapic, type Lapic, type LapicRegisterName, lapicRegisters, writeLapicRegister } from './abi/lapic.ts';
import {
  type KvmGuestDebug,
  type KvmVcpuEvents,
  kvmGuestDebug,
  kvmInterrupt,
  kvmLapicState,
  kvmMpState,
  kvmVcpuEvents,
} from './abi/x86.ts';
import { checkBytes, checkChoice, checkInteger } from './check.ts';
import { IoctlError, NoIrqchipError } from './errors.ts';
import { type DebugOptions, guestDebug } from './guest-debug.ts';
import { VcpuFeatures } from './vcpu-features.ts';

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
    for (const [name, value] of Object.entries(registers) as [LapicRegisterName, number][]) {
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
    this.ioctl(ioctls.KVM_SET_VCPU_EVENTS, kvmVcpuEvents.encode({ ...this.getVcpuEvents(), ...events }));
  }

  /**
   * KVM_SET_GUEST_DEBUG: single-step, breakpoints; nothing switches debugging off.
   *
   * @throws ArgumentError; IoctlError (EINVAL for what the kernel cannot do; EBUSY while an exception is pending)
   */
  debug(options: DebugOptions): void {
    this.setGuestDebug(guestDebug(options));
  }

  /** KVM_SET_GUEST_DEBUG, bit by bit. Throws IoctlError (EINVAL for a control bit that the kernel does not know). */
  setGuestDebug(debug: Partial<KvmGuestDebug>): void {
    this.ioctl(ioctls.KVM_SET_GUEST_DEBUG, kvmGuestDebug.encode(debug));
    this.#guestDebug = { ...debug };
  }

  /** What KVM_SET_GUEST_DEBUG was called with last: the kernel cannot be asked. */
  get guestDebug(): Readonly<Partial<KvmGuestDebug>> {
    return this.#guestDebug;
  }

  /**
   * KVM_INTERRUPT: an interrupt from a controller in user space. Call it when kvm_run.readyForInterruptInjection is 1.
   *
   * @param vector 0 to 255
   * @throws IoctlError (KVM_INTERRUPT: ENXIO with an in-kernel PIC, EEXIST if one waits already); ArgumentError
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
