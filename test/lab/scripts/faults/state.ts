/** What the faults of subject state do. */
import { brief, type Case, count, DONE, guest, ICR_EXIT, ICR2_EXIT, ipi, NEXT, next, writeAndPorts } from './guest.ts';

export const stateCases: Record<string, Case> = {
  'leak-kvm-run': {
    see: () =>
      guest(ipi, (vcpu, target) => [count(vcpu), [32, 36, 40, 44].map((at) => target!.kvmRun.getUint32(at, true))]),
    right: [2, [0, 0, 0, 0]],
    wrong: [2, [0, ...ICR_EXIT, 1]],
  },
  late: {
    see: () => guest(writeAndPorts, (vcpu) => [brief(next(vcpu)), brief(next(vcpu)), brief(next(vcpu))]),
    right: [ICR2_EXIT, ['port', NEXT], ['port', DONE]],
    wrong: [['port', NEXT], ICR2_EXIT, ['port', DONE]],
  },
};
