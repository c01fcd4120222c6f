/** What val2 and dest_id carry of an ICR2 write. */
import { encodeIcr2 } from '../../../abi/apic/icr.ts';
import type { Check } from '../../check.ts';
import { icr2 } from '../../kit/guests.ts';
import { destination, forwarding } from '../../kit/needs.ts';
import { sameRows } from '../../kit/rows.ts';
import { HOOK } from '../../kit/sources.ts';
import { range } from '../../kit/writers.ts';
import { ABSENT, forwarded, ICR_FIELDS, of, send, TABLE, toAbsent, VECTOR } from './forwarded.ts';

export const icr2Checks: Check[] = [
  {
    id: 'payload.icr2.value',
    claim: 'val2 carries the destination of an ICR2 write, for each of the 256',
    source: ICR_FIELDS,
    deadline: TABLE,
    needs: [forwarding],
    async run(ctx) {
      const values = range(256).map((destination) => encodeIcr2({ destination }));
      const exits = await forwarded(ctx, values.map(icr2));
      sameRows(
        'bits 31:24 in val2 of the ICR2 writes',
        exits.map(({ val2 }) => (val2 & 0xff00_0000) >>> 0),
        values,
      );
    },
  },
  {
    id: 'payload.icr2.reserved',
    claim: 'val2 carries each reserved bit of ICR2 as it was written, which the register does not keep',
    source: `${HOOK}: the value is taken before KVM looks at it`,
    needs: [forwarding],
    async run(ctx) {
      const values = range(24).map((bit) => encodeIcr2({ destination: ABSENT, reserved: 2 ** bit }));
      const exits = await forwarded(ctx, values.map(icr2));
      sameRows(
        'bits 23:0 in val2 of the ICR2 writes',
        exits.map(({ val2 }) => val2 & 0xff_ffff),
        values.map((value) => value & 0xff_ffff),
      );
    },
  },
  {
    id: 'payload.icr2.destination',
    claim: 'dest_id is bits 31:24 of the value that was written to ICR2, for each of the 256',
    source: ICR_FIELDS,
    deadline: TABLE,
    needs: [forwarding, destination],
    async run(ctx) {
      const exits = await forwarded(
        ctx,
        range(256).map((destination) => icr2(encodeIcr2({ destination }))),
      );
      sameRows(
        'dest_id of the ICR2 writes',
        exits.map(({ destId }) => destId),
        range(256),
      );
    },
  },
  {
    id: 'payload.icr2.destination.only',
    claim: 'dest_id of an ICR2 write has nothing of the reserved bits 23:0',
    source: ICR_FIELDS,
    needs: [forwarding, destination],
    async run(ctx) {
      // The first write gives the register its destination: what is asked is not which write dest_id is of. The ICR
      // writes, to nobody, tell one from the next.
      const nothing = send({ vector: VECTOR, destinationMode: 'logical' });
      const writes = [0xff_ffff, 0xff, 0x80_0000].map((reserved) => encodeIcr2({ destination: ABSENT, reserved }));
      const exits = await forwarded(ctx, [toAbsent, ...writes.flatMap((value) => [nothing, icr2(value)])]);
      sameRows(
        'dest_id of the ICR2 writes with reserved bits',
        of('ICR2', exits)
          .slice(1)
          .map(({ destId }) => destId),
        [ABSENT, ABSENT, ABSENT],
      );
    },
  },
];
