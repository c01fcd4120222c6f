/** What the faults of subject modes do. */

import { asm } from 'kvm-dsm';
import { briefly, type Case, count, DONE, guest, ICR2_EXIT, ipi, MOVED_LAPIC } from './guest.ts';

export const modesCases: Record<string, Case> = {
  'only-split': {
    see: () => [guest(ipi, count), guest(ipi, count, { irqchip: 'split' })],
    right: [2, 2],
    wrong: [0, 2],
  },
  'only-default-base': {
    see: () =>
      guest(
        asm.flat32`
          mov dword [${MOVED_LAPIC + 0x310}], 0x01000000
          out ${DONE}, al
        `,
        briefly,
        { apicBase: MOVED_LAPIC },
      ),
    right: [ICR2_EXIT],
    wrong: [],
  },
  'only-enabled': {
    see: () => [guest(ipi, count), guest(ipi, count, { svr: 0xff })],
    right: [2, 2],
    wrong: [2, 0],
  },
};
