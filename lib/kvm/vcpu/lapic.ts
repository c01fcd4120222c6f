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
import { checkBytes } from '../../base/check.ts';
import { IoctlError } from '../../base/errors.ts';
import { integer, optional, shape } from '../../base/shape.ts';
import { NoIrqchipError } from '../errors.ts';
import type { OpenVcpu } from './host.ts';

const names = Object.keys(lapicRegisters) as LapicRegisterName[];
const register = optional(integer(0, 0xffff_ffff));
const lapicWrites = shape<Partial<Record<LapicRegisterName, number>>>(
  'the local APIC has',
  Object.fromEntries(names.map((name) => [name, register])) as Record<LapicRegisterName, typeof register>,
);

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
    const given = lapicWrites.take(registers, 'registers');
    const page = this.getLapic();
    for (const name of Object.keys(given) as LapicRegisterName[]) writeLapicRegister(page, name, given[name]!);
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
