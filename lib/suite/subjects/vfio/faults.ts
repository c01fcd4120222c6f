/** How IRQ forwarding can go wrong. */
import type { Fault } from '../../faults/fault.ts';

export const vfioFaults: readonly Fault[] = [
  {
    name: 'forward-signaled',
    number: 45,
    what: "KVM's VFIO device changes the forwarding of an IRQ that VFIO signals",
    breaks: ['vfio.busy.*'],
  },
  {
    name: 'forward-incomplete',
    number: 46,
    what: "a guest's EOI does not complete a forwarded IRQ",
    breaks: ['vfio.completion.forwarded'],
  },
];
