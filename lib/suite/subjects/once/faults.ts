/** How a kernel can lose a write, or tell of it twice. */
import { ONCE, TWINS } from '../../faults/claims.ts';
import type { Fault } from '../../faults/fault.ts';

export const onceFaults: readonly Fault[] = [
  {
    name: 'drop-nth',
    number: 1,
    what: "every seventh of a vCPU's ICR and ICR2 writes makes no exit",
    breaks: ['payload.*', 'order.*', ...ONCE],
  },
  {
    name: 'duplicate',
    number: 2,
    what: 'KVM_RUN returns twice for each write',
    breaks: [...ONCE, ...TWINS, 'bypass.instruction.*', 'state.resume.reset', 'state.resume.restored'],
  },
  {
    name: 'lose-on-signal',
    number: 16,
    what: 'a signal that is pending, or that ends KVM_RUN, drops the exit',
    breaks: [
      'matrix.*',
      'long.*',
      'once.interrupted.signal',
      'once.finished.signal.*',
      'once.kicks.*',
      'once.storm.*',
      'order.signal',
      'state.pending.signal',
    ],
  },
  {
    name: 'lose-on-immediate-exit',
    number: 17,
    what: 'a KVM_RUN with immediate_exit set drops the exit',
    breaks: [
      'matrix.*',
      'long.*',
      'once.interrupted.immediate-exit',
      'once.finished.immediate-exit.*',
      'once.pending.*',
      'once.kicks.*',
      'once.race.*',
      'once.storm.*',
      'order.immediate-exit',
      'state.pending.immediate-exit',
    ],
  },
  {
    name: 'lose-on-race',
    number: 18,
    what: "one slot for all vCPUs: another vCPU's write drops the exit",
    breaks: ['matrix.*', 'long.*', 'once.race.*', 'once.storm.*', 'order.two-vcpus.threads'],
  },
  {
    name: 'report-again',
    number: 19,
    what: 'the exit comes again on the resume from the exit that follows it',
    breaks: [
      'matrix.*',
      'long.*',
      'once.resume.*',
      'once.storm.ports',
      'once.single-step',
      'once.both.again',
      'once.both.rep-movsd-device',
      'once.within.read-ahead',
      'order.single-step',
    ],
  },
  {
    name: 'lose-first',
    number: 26,
    what: "no exit for a vCPU's first write",
    breaks: ['matrix.*', 'long.*', 'once.first', 'once.nodes.hashed.*', 'state.*', 'bypass.instruction.*'],
  },
];
