/** How a kernel can let the guest feel that it forwards. */
import { DELIVERY, TWINS } from '../../faults/claims.ts';
import type { Fault } from '../../faults/fault.ts';

export const transparencyFaults: readonly Fault[] = [
  {
    name: 'before-write',
    number: 9,
    what: 'the exit comes before the local APIC has acted, which it does on resume',
    breaks: [
      'matrix.*',
      'long.*',
      'transparency.exit.written',
      'transparency.exit.delivered',
      // dest_id is of the ICR2 before the write.
      'payload.icr2.destination',
      ...TWINS,
    ],
  },
  {
    name: 'skip-local',
    number: 10,
    what: 'an ICR write delivers nothing in this kernel',
    breaks: [...DELIVERY, 'transparency.exit.delivered', 'injection.ipi.*', ...TWINS],
  },
  {
    name: 'deliver-twice',
    number: 11,
    what: "an ICR write's IPI is delivered once more on resume",
    breaks: [
      'matrix.*',
      'long.*',
      'stock.nmi.*',
      'transparency.delivery.*',
      'once.delivery.*',
      'modes.software-disabled.takes-nmi',
      'injection.ipi.*',
      ...TWINS,
    ],
  },
  {
    name: 'forward-eoi-tpr',
    number: 12,
    what: 'writes of EOI and TPR make the exit too',
    breaks: [
      'matrix.*',
      'long.*',
      'once.nodes.hashed.*',
      'stock.timer.*',
      'transparency.no-exit.eoi',
      'transparency.no-exit.tpr',
    ],
  },
  {
    name: 'forward-above',
    number: 13,
    what: 'writes of every register from ICR upwards make the exit',
    breaks: [
      'matrix.*',
      'long.*',
      'stock.timer.*',
      'transparency.no-exit.above-icr2',
      'transparency.no-exit.rest-of-page',
      'transparency.no-exit.lvt',
      'transparency.no-exit.timer',
    ],
  },
  {
    name: 'rip-behind',
    number: 21,
    what: 'RIP is at the instruction that wrote until the vCPU is resumed',
    breaks: ['matrix.*', 'long.*', 'transparency.exit.rip'],
  },
  {
    name: 'clobber-rdx',
    number: 22,
    what: 'RDX holds the value written after the exit',
    breaks: ['matrix.*', 'long.*', 'transparency.write.*'],
  },
  {
    name: 'report-reads',
    number: 27,
    what: 'reads of ICR and ICR2 make the exit too',
    breaks: ['matrix.*', 'long.*', 'transparency.no-exit.read-icr'],
  },
  {
    name: 'any-width',
    number: 28,
    what: 'writes within ICR and ICR2 of the wrong size or alignment make the exit too',
    breaks: [
      'matrix.*',
      'long.*',
      'transparency.no-exit.byte',
      'transparency.no-exit.word',
      'transparency.no-exit.unaligned',
      'transparency.no-exit.quadword',
      'bypass.width.*.not-forwarded',
      'once.both.rep-movsd-device',
      'once.within.read-ahead',
    ],
  },
];
