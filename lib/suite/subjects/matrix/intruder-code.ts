/** What the vCPU runs that writes between the sender's writes: ICR2 and ICR by turns. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { LapicWrite } from '../../kit/guests.ts';
import { store } from './code.ts';
import { INTRUDER } from './layout.ts';
import { flat32 } from './modes.ts';

/** Of the reserved delivery mode 7: nobody gets anything. */
export const intruderWrites: readonly LapicWrite[] = [
  { register: 'ICR2', value: 0x6d3c_a5c3 },
  { register: 'ICR', value: 0x3008_c72d },
];

const codes = intruderWrites.map(({ register, value }) => store(flat32, flat32.apic + lapicRegisters[register], value));
const length = codes.flat().length;

/** Both writes, and again. */
export const intruderCode = Uint8Array.from([...codes.flat(), 0xeb, 0x100 - 2 - length]);

/** RIP behind so many writes. */
export function intruderRip(done: number): bigint {
  const at = done === 0 ? 0 : done % 2 === 1 ? codes[0]!.length : length;
  return BigInt(INTRUDER + at);
}
