/** The local APIC that the kernel has for a vCPU. */
import {
  decodeLapic,
  type Lapic,
  type LapicRegisterName,
  lapicRegisters,
  writeLapicRegister,
} from '../../abi/apic/lapic.ts';
import { kvmLapicState } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkBytes, checkChoice, checkObject } from '../../base/check.ts';
import { IoctlError } from '../../base/errors.ts';
import { NoIrqchipError } from '../errors.ts';
import type { OpenVcpu } from './host.ts';

/** A vCPU's local APIC. */
export class LocalApic {
  readonly #vcpu: OpenVcpu;

  constructor(vcpu: OpenVcpu) {
    this.#vcpu = vcpu;
  }

  getLapic(): Uint8Array {
    const argument = new Uint8Array(kvmLapicState.size);
    this.#lapicIoctl(ioctls.KVM_GET_LAPIC, argument);
    return argument;
  }

  setLapic(regs: Uint8Array): void {
    checkBytes('regs', regs, kvmLapicState.size, kvmLapicState.size);
    this.#lapicIoctl(ioctls.KVM_SET_LAPIC, kvmLapicState.encode({ regs }));
  }

  lapic(): Lapic {
    return decodeLapic(this.getLapic());
  }

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
      this.#vcpu.ioctl(request, argument);
    } catch (error) {
      // EINVAL means a page that it does not take as well.
      const without = error instanceof IoctlError && error.errnoName === 'EINVAL' && !this.#hasLapic(request);
      throw without ? new NoIrqchipError(error.ioctl, error.errno) : error;
    }
  }

  #hasLapic(failed: number): boolean {
    if (failed === ioctls.KVM_GET_LAPIC) return false;
    try {
      this.#vcpu.read(ioctls.KVM_GET_LAPIC, kvmLapicState.size);
      return true;
    } catch {
      return false;
    }
  }
}
