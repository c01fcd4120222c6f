/** What the faults of subject once do. */

import { asm, type Vcpu } from 'kvm-dsm';
import {
  brief,
  briefly,
  type Case,
  DEVICE,
  DONE,
  eightWrites,
  forwarded,
  guest,
  ICR_EXIT,
  ICR2,
  ICR2_EXIT,
  ipi,
  NEXT,
  next,
  writeAndPorts,
} from './guest.ts';

/** One instruction that reads from user space and writes ICR2: it is finished at the start of a KVM_RUN. */
const moveToIcr2 = asm.flat32`
  mov esi, ${DEVICE}
  mov edi, ${ICR2}
  movsd
  out ${DONE}, al
`;

/** Sets kvm_run's immediate_exit for one KVM_RUN. */
function runWithImmediateExit(vcpu: Vcpu): string {
  vcpu.kvmRun.setUint8(1, 1);
  const outcome = vcpu.runRaw();
  vcpu.kvmRun.setUint8(1, 0);
  return outcome.kind === 'errno' ? outcome.name : outcome.kind;
}

/** To where the guest waits for what its `movsd` reads; the answer is there already. */
function upToMove(vcpu: Vcpu): void {
  const exit = next(vcpu);
  if (exit.name !== 'KVM_EXIT_MMIO') throw new Error(`${exit.name} instead of the read`);
  vcpu.kvmRun.setUint32(40, 0x0100_0000, true); // struct kvm_run: mmio.data
}

export const onceCases: Record<string, Case> = {
  'drop-nth': {
    see: () => guest(eightWrites, (vcpu) => forwarded(vcpu).map(({ destId }) => destId)),
    right: [1, 2, 3, 4, 5, 6, 7, 8],
    wrong: [1, 2, 3, 4, 5, 6, 8],
  },
  duplicate: {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR2_EXIT, ICR2_EXIT, ICR_EXIT, ICR_EXIT],
  },
  'lose-on-signal': {
    see: () =>
      guest(moveToIcr2, (vcpu) => {
        upToMove(vcpu);
        // A KVM_RUN with a signal pending. If it has no exit, the next one has it.
        return vcpu.settle() ? brief(vcpu.exit()) : brief(next(vcpu));
      }),
    right: ICR2_EXIT,
    wrong: ['port', DONE],
  },
  'lose-on-immediate-exit': {
    see: () =>
      guest(moveToIcr2, (vcpu) => {
        upToMove(vcpu);
        return [runWithImmediateExit(vcpu), brief(next(vcpu))];
      }),
    right: ['EINTR', ICR2_EXIT],
    wrong: ['EINTR', ['port', DONE]],
  },
  'lose-on-race': {
    see: () =>
      guest([moveToIcr2, ipi], (vcpu, other) => {
        upToMove(vcpu);
        return [runWithImmediateExit(vcpu), brief(next(other!)), brief(next(vcpu))];
      }),
    right: ['EINTR', ICR2_EXIT, ICR2_EXIT],
    wrong: ['EINTR', ICR2_EXIT, ['port', DONE]],
  },
  'report-again': {
    see: () => guest(writeAndPorts, (vcpu) => [brief(next(vcpu)), brief(next(vcpu)), brief(next(vcpu))]),
    right: [ICR2_EXIT, ['port', NEXT], ['port', DONE]],
    wrong: [ICR2_EXIT, ['port', NEXT], ICR2_EXIT],
  },
  'lose-first': {
    see: () => guest(ipi, briefly),
    right: [ICR2_EXIT, ICR_EXIT],
    wrong: [ICR_EXIT],
  },
};
