/** A write of a local APIC's register, as a guest makes it and as an ioctl replays it. */
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import { IA32_APIC_BASE, X2APIC_ICR } from '../../abi/apic/msr.ts';
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { flat32, out8, wrmsr } from '../../guest/bytes.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import { movAtEdiEax } from './code.ts';
import { DONE_PORT } from './guests.ts';

/** A write of the source's guest, or what a replay is asked for. */
export type TwinWrite =
  | { register: 'ICR'; value: number; destId?: number }
  | { register: 'ICR2'; value: number; destId?: number }
  | { register: 'x2'; value: bigint }
  | { register: 'base'; value: bigint; host: boolean };

const mmioPart = [movAtEdiEax, out8(DONE_PORT)];
/** Where in the `writer` that of an MSR is, and how long the instructions are that write. */
export const MSR_PART = mmioPart.reduce((sum, { length }) => sum + length, 0);
export const MMIO_LENGTH = movAtEdiEax.length;
export const MSR_LENGTH = wrmsr.length;
/** A guest that makes whichever write its registers are set up for. */
export const writer = flat32(...mmioPart, wrmsr, out8(DONE_PORT));

/** Has a vCPU whose `writer` lies at `entry` make the write next. False: user space made it, and no guest has to. */
export function pointAt(vcpu: Vcpu, entry: number, write: TwinWrite): boolean {
  if (write.register === 'base' && write.host) {
    vcpu.setMsr(IA32_APIC_BASE, write.value);
    return false;
  }
  if (write.register === 'ICR' || write.register === 'ICR2') {
    const page = vcpu.getSregs().apicBase & ~0xfffn;
    const rdi = page + BigInt(lapicRegisters[write.register]);
    vcpu.setRegs({ rip: BigInt(entry), rdi, rax: BigInt(write.value) });
  } else {
    const rcx = BigInt(write.register === 'x2' ? X2APIC_ICR : IA32_APIC_BASE);
    const rip = BigInt(entry + MSR_PART);
    vcpu.setRegs({ rip, rcx, rax: BigInt.asUintN(32, write.value), rdx: write.value >> 32n });
  }
  return true;
}

/** The ioctl that replays it. */
export function askedFor(
  { ioctls }: DsmProfile,
  vcpuId: number,
  write: TwinWrite,
): { request: number; argument: Uint8Array } {
  const { KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = ioctls;
  switch (write.register) {
    case 'ICR':
    case 'ICR2': {
      const { value: val2, destId = 0 } = write;
      const argument = { vcpuId, val: lapicRegisters[write.register], val2, destId };
      return { request: KVM_DSM_IPI.request, argument: KVM_DSM_IPI.argument.encode(argument) };
    }
    case 'x2': {
      const argument = { vcpuId, data: write.value };
      return { request: KVM_DSM_X2APIC.request, argument: KVM_DSM_X2APIC.argument.encode(argument) };
    }
    case 'base': {
      const argument = { vcpuId, host: write.host, index: IA32_APIC_BASE, data: write.value };
      return { request: KVM_DSM_APIC_BASE.request, argument: KVM_DSM_APIC_BASE.argument.encode(argument) };
    }
  }
}
