/** dest_id of an ICR write, and that it comes out wherever it goes. */
import { encodeIcr2, type Icr } from '../../../abi/apic/icr.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { forwardedExits } from '../../kit/forwarded-writes.ts';
import { icr2, lapicWriter } from '../../kit/guests.ts';
import { destination, forwarding } from '../../kit/needs.ts';
import { sameRows, withoutRepeats } from '../../kit/rows.ts';
import { HOOK } from '../../kit/sources.ts';
import { range } from '../../kit/writers.ts';
import { ABSENT, forwarded, ICR_FIELDS, of, type SenderSetup, send, TABLE, toAbsent, VECTOR } from './forwarded.ts';

interface Destination {
  word: string;
  claim: string;
  destination: number;
  mode?: Icr['destinationMode'];
  setup?: SenderSetup;
}

const destinations: Destination[] = [
  { word: 'absent', claim: 'An IPI to an APIC id that no vCPU has comes out', destination: ABSENT },
  { word: 'itself', claim: 'An IPI to the APIC id of the vCPU that sends it comes out', destination: 0 },
  {
    word: 'other',
    claim: 'An IPI to the APIC id of another vCPU of the VM comes out',
    destination: 1,
    setup: { vcpus: 2 },
  },
  { word: 'broadcast', claim: 'An IPI to 0xff, which is everyone, comes out', destination: 0xff },
  {
    word: 'logical-present',
    claim: 'An IPI to a logical id that a vCPU of the VM has comes out',
    destination: 0x01,
    mode: 'logical',
    setup: { registers: { DFR: 0xffff_ffff, LDR: 0x0100_0000 } },
  },
  {
    word: 'logical-absent',
    claim: 'An IPI to a logical id that no vCPU has comes out',
    destination: 0x80,
    mode: 'logical',
  },
];

export const destinationChecks: Check[] = [
  {
    id: 'payload.icr.dest-id',
    claim: 'dest_id of an ICR write is bits 31:24 of ICR2, for each of the 256',
    source: ICR_FIELDS,
    deadline: TABLE,
    needs: [forwarding, destination],
    async run(ctx) {
      const exits = await forwarded(
        ctx,
        range(256).flatMap((destination) => [
          icr2(encodeIcr2({ destination })),
          // With a logical id that no vCPU has: nothing is delivered.
          send({ vector: VECTOR, destinationMode: 'logical' }),
        ]),
        { registers: { DFR: 0xffff_ffff, LDR: 0 } },
      );
      sameRows(
        'dest_id of the ICR writes',
        of('ICR', exits).map(({ destId }) => destId),
        range(256),
      );
    },
  },
  {
    id: 'payload.icr.dest-id.kept',
    claim: 'dest_id of a second ICR write is still that of the ICR2 write before the first',
    source: ICR_FIELDS,
    needs: [forwarding, destination],
    async run(ctx) {
      const exits = await forwarded(ctx, [toAbsent, send({ vector: VECTOR }), send({ vector: VECTOR + 1 })]);
      ctx.equal(
        'dest_id of the two ICR writes',
        of('ICR', exits).map(({ destId }) => destId),
        [ABSENT, ABSENT],
      );
    },
  },
  {
    id: 'payload.icr.dest-id.initial',
    claim: 'dest_id of an ICR write is 0 as long as ICR2 is 0',
    source: `${ICR_FIELDS}; SDM vol. 3 11.4.7.1: ICR2 is 0 after reset`,
    needs: [forwarding, destination],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const logical = { destinationMode: 'logical' } as const;
      // The first one is no more than the vCPU's first write.
      machine.vcpu(0).program(lapicWriter([0, 1, 2].map((at) => send({ vector: VECTOR + at, ...logical }))));
      const exits = withoutRepeats(forwardedExits(new Driver(ctx, machine).untilDone()));
      ctx.equal(
        'dest_id of the last two writes',
        exits.slice(-2).map(({ destId }) => destId),
        [0, 0],
      );
    },
  },
  ...table(destinations, ({ word, claim, destination, mode = 'physical', setup = {} }) => ({
    id: `payload.icr.destination.${word}`,
    claim,
    source: `${HOOK}: it does not look at the destination`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const exits = await forwarded(
        ctx,
        [icr2(encodeIcr2({ destination })), send({ vector: VECTOR, destinationMode: mode })],
        setup,
      );
      ctx.equal('the number of exits for the ICR write', of('ICR', exits).length, 1);
    },
  })),
];
