/** How a kernel can name the wrong vCPU. */
import type { Fault } from '../../faults/fault.ts';

export const sourceFaults: readonly Fault[] = [
  {
    name: 'id-index',
    number: 7,
    what: "id is the vCPU's index, not its vcpu_id",
    breaks: ['matrix.*', 'long.*', 'source.id.*'],
  },
  {
    name: 'id-target',
    number: 8,
    what: 'id is of the destination, not of the vCPU that wrote',
    breaks: ['matrix.*', 'long.*', 'payload.icr2.id', 'payload.icr.id', 'source.id.*'],
  },
  {
    name: 'only-vcpu0',
    number: 25,
    what: 'no exit unless vcpu_id is 0',
    breaks: [
      'matrix.*',
      'long.*',
      'source.every-vcpu',
      'once.race.*',
      'once.storm.*',
      'order.two-vcpus.*',
      'capability.forwarding.vcpus',
    ],
  },
];
