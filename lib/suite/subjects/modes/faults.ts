/** How a kernel can forward in some modes alone. */
import { PLAIN } from '../../faults/claims.ts';
import type { Fault } from '../../faults/fault.ts';

export const modesFaults: readonly Fault[] = [
  {
    name: 'only-split',
    number: 24,
    what: 'no exit unless the irqchip is split',
    breaks: [...PLAIN, 'modes.irqchip.full.forwards', 'capability.forwarding.*'],
  },
  {
    name: 'only-default-base',
    number: 30,
    what: 'no exit unless the APIC base is 0xfee00000',
    breaks: ['matrix.*', 'long.*', 'modes.base.moved-*.forwards'],
  },
  {
    name: 'only-enabled',
    number: 31,
    what: 'no exit unless the local APIC is enabled by software',
    breaks: ['matrix.*', 'long.*', 'modes.software-disabled.forwards'],
  },
];
