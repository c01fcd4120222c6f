/** The guests that most checks use. */
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../../abi/apic/lapic.ts';
import { flat32, type Instruction, out8, write32 } from '../../guest/bytes.ts';
import type { GuestCode } from '../../guest/code.ts';
import type { Trace } from '../../script/expect/trace.ts';
import type { Machine } from '../../script/machine/machine.ts';

/** Where the suite's guests leave when they are done. Ports 0x20 and 0x21 belong to the PIC. */
export const DONE_PORT = 0x10;

/** Guest physical address of a LAPIC register. */
export const at = (register: keyof typeof lapicRegisters): number => APIC_DEFAULT_PHYS_BASE + lapicRegisters[register];

/** One 32-bit write to a LAPIC register. */
export interface LapicWrite {
  register: keyof typeof lapicRegisters;
  value: number;
}

export const icr = (value: number): LapicWrite => ({ register: 'ICR', value });
export const icr2 = (value: number): LapicWrite => ({ register: 'ICR2', value });

/** A guest that writes LAPIC registers one after the other and leaves: 10 bytes per write. */
export function lapicWriter(writes: readonly LapicWrite[]): GuestCode {
  return flat32(...writes.map(writeInstruction), out8(DONE_PORT));
}

/** `mov dword [register], value`, 10 bytes. */
export function writeInstruction({ register, value }: LapicWrite): Instruction {
  return write32(at(register), value);
}

/** Runs a machine until one of its guests is done. */
export function runUntilDone(machine: Machine): Promise<Trace> {
  return machine.run({ until: { port: DONE_PORT } });
}
