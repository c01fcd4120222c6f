import { ioctls } from './abi/ioctl.ts';
import {
  type KvmGuestDebug,
  type KvmRegs,
  type KvmSregs,
  kvmGuestDebug,
  kvmLapicState,
  kvmMpState,
  kvmRegs,
  kvmSregs,
} from './abi/x86.ts';
import { KvmHandle } from './handle.ts';
import type { NativeVcpu } from './native.ts';

/** A vCPU's state, as the KVM_GET_* and KVM_SET_* ioctls of a vCPU give it. */
export abstract class VcpuState extends KvmHandle<NativeVcpu> {
  /** KVM_GET_REGS. */
  getRegs(): KvmRegs {
    return kvmRegs.decode(this.#read(ioctls.KVM_GET_REGS, kvmRegs.size));
  }

  /** KVM_SET_REGS: the registers that `regs` names; the others keep their values. */
  setRegs(regs: Partial<KvmRegs>): void {
    this.ioctl(ioctls.KVM_SET_REGS, kvmRegs.encode({ ...this.getRegs(), ...regs }));
  }

  /** KVM_GET_SREGS: segments, descriptor tables, control registers, the APIC base. */
  getSregs(): KvmSregs {
    return kvmSregs.decode(this.#read(ioctls.KVM_GET_SREGS, kvmSregs.size));
  }

  /** KVM_SET_SREGS. Throws IoctlError (EINVAL for a state that no CPU can be in). */
  setSregs(sregs: KvmSregs): void {
    this.ioctl(ioctls.KVM_SET_SREGS, kvmSregs.encode(sregs));
  }

  /** KVM_GET_LAPIC: the first 1024 bytes of the APIC page. Throws IoctlError (EINVAL without an in-kernel LAPIC). */
  getLapic(): Uint8Array {
    return kvmLapicState.decode(this.#read(ioctls.KVM_GET_LAPIC, kvmLapicState.size)).regs;
  }

  /** KVM_SET_LAPIC: the first 1024 bytes of the APIC page. */
  setLapic(regs: Uint8Array): void {
    this.ioctl(ioctls.KVM_SET_LAPIC, kvmLapicState.encode({ regs }));
  }

  /** KVM_GET_MP_STATE: a KVM_MP_STATE_* value. It makes KVM act on an INIT or SIPI that is pending. */
  getMpState(): number {
    return kvmMpState.decode(this.#read(ioctls.KVM_GET_MP_STATE, kvmMpState.size)).mpState;
  }

  /** KVM_SET_MP_STATE. Throws IoctlError (EINVAL for a state that x86 does not have). */
  setMpState(mpState: number): void {
    this.ioctl(ioctls.KVM_SET_MP_STATE, kvmMpState.encode({ mpState }));
  }

  /** KVM_SET_GUEST_DEBUG. Throws IoctlError (EINVAL for a control bit that the kernel does not know). */
  setGuestDebug(debug: Partial<KvmGuestDebug>): void {
    this.ioctl(ioctls.KVM_SET_GUEST_DEBUG, kvmGuestDebug.encode(debug));
  }

  #read(request: number, size: number): Uint8Array {
    const buffer = new Uint8Array(size);
    this.ioctl(request, buffer);
    return buffer;
  }
}
