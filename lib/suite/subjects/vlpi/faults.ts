/** How arm64's vLPI ioctls can mean something. */
import type { Fault } from '../../faults/fault.ts';

export const vlpiFaults: readonly Fault[] = [
  {
    name: 'vlpi-answers',
    number: 44,
    what: "arm64's KVM_DISABLE_VCPU_VLPI is answered, and drops what is pending at the vCPU",
    breaks: [
      'vlpi.answer.disable',
      'vlpi.state',
      'vlpi.pending.irr',
      'vlpi.pending.many',
      'vlpi.pending.line',
      'vlpi.pending.taken',
      'vlpi.pending.between',
    ],
  },
];
