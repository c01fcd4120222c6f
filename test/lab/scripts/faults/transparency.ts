/** What the faults of subject transparency do. */

import { asm, decodeLapic, readLapicRegister, type Vcpu } from 'kvm-dsm';
import {
  brief,
  briefly,
  type Case,
  count,
  DONE,
  entryOf,
  guest,
  ICR,
  ICR_EXIT,
  ICR2,
  ICR2_EXIT,
  ipi,
  LAPIC,
  next,
} from './guest.ts';

const irr = (vcpu: Vcpu | undefined) => decodeLapic(vcpu!.getLapic()).irr;

export const transparencyCases: Record<string, Case> = {
  'before-write': {
    see: () =>
      guest(ipi, (vcpu, target) => {
        const at = () => [brief(next(vcpu)), readLapicRegister(vcpu.getLapic(), 'ICR2'), irr(target)];
        return [at(), at(), at()];
      }),
    right: [
      [ICR2_EXIT, 0x0100_0000, []],
      [ICR_EXIT, 0x0100_0000, [0xf0]],
      [['port', DONE], 0x0100_0000, [0xf0]],
    ],
    wrong: [
      [ICR2_EXIT, 0, []],
      [ICR_EXIT, 0x0100_0000, []],
      [['port', DONE], 0x0100_0000, [0xf0]],
    ],
  },
  'skip-local': {
    see: () => guest(ipi, (vcpu, target) => [count(vcpu), irr(target)]),
    right: [2, [0xf0]],
    wrong: [2, []],
  },
  'deliver-twice': {
    see: () =>
      guest(ipi, (vcpu, target) => {
        next(vcpu);
        next(vcpu);
        const first = irr(target);
        // As if the target had taken it.
        target!.setLapicRegisters({ IRR7: 0 });
        return [first, brief(next(vcpu)), irr(target)];
      }),
    right: [[0xf0], ['port', DONE], []],
    wrong: [[0xf0], ['port', DONE], [0xf0]],
  },
  'forward-eoi-tpr': {
    see: () =>
      guest(
        asm.flat32`
          mov dword [${LAPIC + 0xb0}], 0
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [],
    wrong: [[0xb0, 0]],
  },
  'forward-above': {
    see: () =>
      guest(
        asm.flat32`
          mov dword [${LAPIC + 0x320}], 0x00010020
          mov dword [${LAPIC + 0x3e0}], 0x0000000b
          mov dword [${LAPIC + 0xf0}], 0x000001ff
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [],
    wrong: [
      [0x320, 0x0001_0020],
      [0x3e0, 0xb],
    ],
  },
  'rip-behind': {
    see: () =>
      guest(ipi, (vcpu) => {
        const rip = () => {
          next(vcpu);
          return Number(vcpu.getRegs().rip) - entryOf(0);
        };
        return [rip(), rip(), brief(next(vcpu))];
      }),
    right: [10, 20, ['port', DONE]],
    wrong: [0, 10, ['port', DONE]],
  },
  'clobber-rdx': {
    see: () =>
      guest(
        asm.flat32`
          mov edx, 0x12345678
          mov dword [${ICR2}], 0x01000000
          out ${DONE}, al
        `,
        (vcpu) => [count(vcpu), Number(vcpu.getRegs().rdx)],
      ),
    right: [1, 0x1234_5678],
    wrong: [1, 0x0100_0000],
  },
  'report-reads': {
    see: () =>
      guest(
        asm.flat32`
          mov eax, [${ICR2}]
          mov eax, [${ICR}]
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [],
    wrong: [
      [0x310, 0],
      [0x300, 0],
    ],
  },
  'any-width': {
    see: () =>
      guest(
        asm.flat32`
          mov word [${ICR2}], 0x0100
          mov dword [${ICR + 4}], 0x40f0
          out ${DONE}, al
        `,
        briefly,
      ),
    right: [],
    wrong: [
      [0x310, 0x0100],
      [0x300, 0x40f0],
    ],
  },
};
