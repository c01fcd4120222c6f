/** An IPI, as two writes. */
import { icr, icr2, type LapicWrite } from '../../kit/guests.ts';

/** No vCPU has it: what is sent there changes nothing. */
export const ABSENT = 0x77;
export const ipi = (destination: number, vector = 0xf0): LapicWrite[] => [
  icr2(destination * 2 ** 24),
  icr(0x4000 + vector),
];
