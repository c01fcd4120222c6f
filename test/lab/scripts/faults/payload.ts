/** What the faults of subject payload do. */

import { asm, type GuestCode } from 'kvm-dsm';
import {
  all,
  briefly,
  type Case,
  count,
  DONE,
  eightWrites,
  forwarded,
  guest,
  ICR,
  ICR_EXIT,
  ICR2,
  ICR2_EXIT,
  ipi,
} from './guest.ts';

function ipiOf(icr2: number, icr: number): GuestCode {
  return asm.flat32`
    mov dword [${ICR2}], ${icr2}
    mov dword [${ICR}], ${icr}
    out ${DONE}, al
  `;
}

export const payloadCases: Record<string, Case> = {
  'swap-values': {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR2_EXIT.toReversed(), ICR_EXIT.toReversed()],
  },
  'masked-value': {
    see: () =>
      guest(
        asm.flat32`
          mov dword [${ICR2}], 0x01abcdef
          mov dword [${ICR}], 0x50f0
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [
      [0x310, 0x01ab_cdef],
      [0x300, 0x50f0],
    ],
    wrong: [ICR2_EXIT, ICR_EXIT],
  },
  'stale-dest-id': {
    see: () => guest(eightWrites, (vcpu) => forwarded(vcpu).map(({ destId }) => destId)),
    right: [1, 2, 3, 4, 5, 6, 7, 8],
    wrong: [0, 1, 2, 3, 4, 5, 6, 7],
  },
  'unshifted-dest-id': {
    see: () => guest(ipi, (vcpu) => forwarded(vcpu).map(({ destId }) => destId)),
    right: [1, 1],
    wrong: [0x0100_0000, 0x0100_0000],
  },
  'forget-icr2': {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR_EXIT],
  },
  'forget-icr': {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR2_EXIT],
  },
  'wrong-exit': {
    see: () => guest(ipi, (vcpu) => all(vcpu).map(({ reason }) => reason)),
    right: [45, 45],
    wrong: [44, 44],
  },
  'only-fixed': {
    see: () => guest(ipiOf(0x0100_0000, 0x4400), briefly),
    right: [ICR2_EXIT, [0x300, 0x4400]],
    wrong: [ICR2_EXIT],
  },
  'no-shorthand': {
    see: () => guest(ipiOf(0x0100_0000, 0xc40f0), briefly),
    right: [ICR2_EXIT, [0x300, 0xc40f0]],
    wrong: [ICR2_EXIT],
  },
  'only-absent': {
    see: () => [guest(ipi, briefly), guest(ipiOf(0x0900_0000, 0x40f0), count)],
    right: [[ICR2_EXIT, ICR_EXIT], 2],
    wrong: [[ICR2_EXIT], 2],
  },
};
