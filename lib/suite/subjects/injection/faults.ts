/** How the injection ioctls can go wrong. */
import { TWINS } from '../../faults/claims.ts';
import type { Fault } from '../../faults/fault.ts';

export const injectionFaults: readonly Fault[] = [
  {
    name: 'replay-unsent',
    number: 35,
    what: 'KVM_DSM_IPI stores an ICR write and sends no IPI',
    breaks: ['injection.ipi.*', ...TWINS, 'bypass.host.replay', 'once.nodes.hashed.*'],
  },
  {
    name: 'replay-vcpu0',
    number: 36,
    what: 'the injection ioctls act on vCPU 0, whatever vcpu_id says',
    breaks: ['injection.*'],
  },
  {
    name: 'replay-low-half',
    number: 37,
    what: 'KVM_DSM_X2APIC loses the upper half of data, the destination',
    breaks: ['injection.x2apic.*', 'injection.twin.x2.*', 'injection.states.x2.*'],
  },
  {
    name: 'replay-base-as-guest',
    number: 38,
    what: 'KVM_DSM_APIC_BASE takes host for false',
    breaks: ['injection.base.host', 'injection.twin.base*', 'injection.states.base.*'],
  },
];
