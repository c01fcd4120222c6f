/** How exits 44, 46 and 47 can go wrong. */
import type { Fault } from '../../faults/fault.ts';

export const exitsFaults: readonly Fault[] = [
  {
    name: 'dapic-index',
    number: 39,
    what: "exit 44 tells the register's number instead of its offset",
    breaks: ['exits.dapic.*'],
  },
  {
    name: 'x2-icr-low-half',
    number: 40,
    what: 'exit 46 tells the lower half of the ICR alone',
    breaks: ['exits.x2-icr.*'],
  },
  {
    name: 'apic-base-index',
    number: 41,
    what: 'exit 47 tells MSR 0 instead of 0x1b',
    breaks: ['exits.apic-base.*'],
  },
];
