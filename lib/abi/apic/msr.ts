/** MSRs of the local APIC. Source: SDM vol. 3, "Local APIC Status and Location" and "x2APIC Register Address Space". */
import { type LapicRegisterName, lapicRegisters } from './lapic.ts';

/** Where the APIC page is, and whether the local APIC is enabled and in x2APIC mode. */
export const IA32_APIC_BASE = 0x1b;
/** Its bit 11: the local APIC is enabled. */
export const APIC_BASE_ENABLE = 1n << 11n;
/** Its bit 10: it is in x2APIC mode. */
export const APIC_BASE_EXTD = 1n << 10n;
/** The ICR of x2APIC mode: 64 bits, the destination in the upper half. */
export const X2APIC_ICR = 0x830;
/** A write sends a fixed IPI, whose vector it is, to the vCPU itself. */
export const X2APIC_SELF_IPI = 0x83f;

/** The first MSR of x2APIC mode: each register of the APIC page, at one sixteenth of its offset. */
const X2APIC_MSRS = 0x800;

/** The MSR that a register is in x2APIC mode. DFR and ICR2 have none there. */
export function registerMsr(register: LapicRegisterName): number {
  return X2APIC_MSRS + (lapicRegisters[register] >> 4);
}
