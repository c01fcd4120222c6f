/** How an exit can go wrong in kvm_run, or in its time. */
import { EXITS, TWINS } from '../../faults/claims.ts';
import type { Fault } from '../../faults/fault.ts';

export const stateFaults: readonly Fault[] = [
  {
    name: 'leak-kvm-run',
    number: 23,
    what: "the payload is in the next vCPU's kvm_run as well",
    breaks: [
      'matrix.*',
      'long.*',
      'state.kvm-run.other-*',
      'once.storm.*',
      'order.two-vcpus.threads',
      'stock.sipi.runs',
    ],
  },
  { name: 'late', number: 29, what: 'the exit waits for the next KVM_RUN', breaks: [...EXITS, ...TWINS] },
];
