/** How SINTs can go wrong. */
import type { Fault } from '../../faults/fault.ts';

export const synicFaults: readonly Fault[] = [
  {
    name: 'sint-vp0',
    number: 42,
    what: 'a SINT goes to VP index 0, whatever its route says',
    breaks: ['synic.sint.delivers'],
  },
  {
    name: 'sint-unheard',
    number: 43,
    what: "nobody is told of a SINT's EOI or EOM",
    breaks: ['synic.acknowledge.*', 'synic.message.*'],
  },
];
