/** The modes of a local APIC, and how its registers are reached in each. Source: SDM vol. 3, "x2APIC Mode". */
import { encodeIcr, encodeIcr2, encodeX2Icr, type IcrFields } from '../abi/apic/icr.ts';
import { type LapicRegisterName, lapicRegisters } from '../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, APIC_BASE_EXTD, registerMsr } from '../abi/apic/msr.ts';

export type ApicMode = 'disabled' | 'xapic' | 'x2apic';

/** The mode by IA32_APIC_BASE. */
export function apicMode(apicBase: bigint): ApicMode {
  if ((apicBase & APIC_BASE_ENABLE) === 0n) return 'disabled';
  return apicBase & APIC_BASE_EXTD ? 'x2apic' : 'xapic';
}

/** Where a register is: in the APIC page, at this many bytes, or an MSR. */
export type RegisterPlace = { readonly offset: number; readonly msr?: undefined } | { readonly msr: number };

/** One write. */
export interface RegisterWrite<V = number> {
  readonly place: RegisterPlace;
  /** 32 bits. */
  readonly value: V;
  /** Bits 63:32 of an MSR that has them: the ICR of x2APIC mode. */
  readonly high?: number;
}

/** A command and its destination; without one, under a shorthand, there is nothing to write for it. */
export type IcrWrite = IcrFields & { readonly destination?: number };

/** How software reaches the registers of an APIC that is in this mode. `V`: a number, or a register's name in code. */
export interface ApicRegisters {
  read(register: LapicRegisterName): RegisterPlace;
  write<V>(register: LapicRegisterName, value: V): RegisterWrite<V>;
  /** What sends an IPI, in order. */
  icr(command: IcrWrite): RegisterWrite[];
}

/** By MMIO, in the APIC page: an IPI's destination goes into ICR2 before the write of ICR sends it. */
export const xapicRegisters: ApicRegisters = {
  read: (register) => ({ offset: lapicRegisters[register] }),
  write: (register, value) => ({ place: xapicRegisters.read(register), value }),
  icr: ({ destination, ...command }) => [
    ...(destination === undefined ? [] : [xapicRegisters.write('ICR2', encodeIcr2({ destination }))]),
    xapicRegisters.write('ICR', encodeIcr(command)),
  ],
};

/** By MSR: the ICR is one, of 64 bits. */
export const x2apicRegisters: ApicRegisters = {
  read: (register) => ({ msr: registerMsr(register) }),
  write: (register, value) => ({ place: x2apicRegisters.read(register), value }),
  icr({ destination = 0, ...command }) {
    const bits = encodeX2Icr({ ...command, destination });
    const write = x2apicRegisters.write('ICR', Number(bits & 0xffff_ffffn));
    return [{ ...write, high: Number(bits >> 32n) }];
  },
};
