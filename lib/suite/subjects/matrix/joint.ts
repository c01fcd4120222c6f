/** One instruction that writes ICR and ICR2. */
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { LapicWrite } from '../../kit/guests.ts';
import { type CodeWidth, indirect, move, store } from './code.ts';
import { DATA } from './layout.ts';

export interface Joint {
  /** In the order in which the instruction makes them. */
  code(width: CodeWidth, apic: number, writes: readonly [LapicWrite, LapicWrite]): number[];
  changes: readonly string[];
}

/** Both registers, and the three dwords between them, at which there is none. */
const DWORDS = 5;
const STEP = lapicRegisters.ICR2 - lapicRegisters.ICR;
const FROM = DATA + 0xf80;
const [STD, CLD] = [0xfd, 0xfc];

/** `rep movsd`, upwards if ICR is the first of them. */
export const repMovsd: Joint = {
  code(width, apic, writes) {
    const down = writes[0].register === 'ICR2';
    const offset = down ? STEP : 0;
    return [
      ...writes.flatMap(({ register, value }) => store(width, FROM + (register === 'ICR2' ? STEP : 0), value)),
      ...move(width, 6, FROM + offset),
      ...move(width, 7, apic + lapicRegisters.ICR + offset),
      ...move(width, 1, DWORDS),
      down ? STD : CLD,
      0xf3,
      ...indirect(width, 0xa5),
    ];
  },
  changes: ['rsi', 'rdi', 'rcx'],
};
