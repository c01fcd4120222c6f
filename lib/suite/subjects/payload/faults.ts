/** How a kernel can say something wrong of a write. */
import { EXITS, ONCE, VALUES } from '../../faults/claims.ts';
import type { Fault } from '../../faults/fault.ts';

export const payloadFaults: readonly Fault[] = [
  {
    name: 'swap-values',
    number: 3,
    what: 'val holds the value written and val2 the register',
    breaks: ['matrix.*', 'long.*', 'payload.val.register', ...VALUES],
  },
  {
    name: 'masked-value',
    number: 4,
    what: 'val2 is read back from the register, without its reserved and busy bits',
    breaks: ['matrix.*', 'long.*', 'payload.icr.delivery-status', 'payload.icr2.reserved'],
  },
  {
    name: 'stale-dest-id',
    number: 5,
    what: "an ICR2 write's dest_id is of the ICR2 before it",
    breaks: ['matrix.*', 'long.*', 'payload.icr2.destination'],
  },
  {
    name: 'unshifted-dest-id',
    number: 6,
    what: 'dest_id is the whole of ICR2, not its bits 31:24',
    breaks: [
      'matrix.*',
      'long.*',
      'payload.icr2.destination',
      'payload.icr2.destination.only',
      'payload.icr.dest-id',
      'payload.icr.dest-id.kept',
    ],
  },
  {
    name: 'forget-icr2',
    number: 14,
    what: 'ICR2 writes make no exit',
    breaks: [
      'matrix.*',
      'long.*',
      'payload.val.register',
      'payload.icr2.*',
      'payload.instruction.*',
      'order.*',
      ...ONCE,
      'state.*',
      'source.id.icr2',
      'bypass.instruction.*',
    ],
  },
  {
    name: 'forget-icr',
    number: 15,
    what: 'ICR writes make no exit',
    breaks: ['payload.val.register', 'payload.icr.*', 'order.*', ...ONCE, 'source.id.icr'],
  },
  { name: 'wrong-exit', number: 20, what: 'exit_reason is 44, KVM_EXIT_DAPIC', breaks: [...EXITS, 'exits.dapic.icr'] },
  {
    name: 'only-fixed',
    number: 32,
    what: 'ICR writes of another delivery mode than fixed make no exit',
    breaks: ['matrix.*', 'long.*', 'payload.icr.delivery-mode.*', 'payload.icr.fields', 'once.nodes.hashed.*'],
  },
  {
    name: 'no-shorthand',
    number: 33,
    what: 'ICR writes with a shorthand make no exit',
    breaks: ['matrix.*', 'long.*', 'payload.icr.shorthand.*'],
  },
  {
    name: 'only-absent',
    number: 34,
    what: 'ICR writes with a destination in this VM make no exit',
    breaks: [
      'matrix.*',
      'long.*',
      'payload.icr.destination.*',
      'payload.icr.shorthand.*',
      'payload.icr.dest-id',
      'once.nodes.hashed.*',
    ],
  },
];
