/** What val2 carries of an ICR write. */
import type { Icr } from '../../../abi/apic/icr.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import type { LapicWrite } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { sameRows } from '../../kit/rows.ts';
import { HOOK } from '../../kit/sources.ts';
import { range } from '../../kit/writers.ts';
import { forwarded, ICR_FIELDS, of, type SenderSetup, send, TABLE, toAbsent, VECTOR } from './forwarded.ts';

/** That val2 of ICR writes has a field's bits as they were written, whatever the other bits are. */
async function checkField(
  ctx: CheckContext,
  { what, mask, writes, setup }: { what: string; mask: number; writes: readonly LapicWrite[]; setup?: SenderSetup },
): Promise<void> {
  const exits = await forwarded(ctx, [toAbsent, ...writes], setup);
  sameRows(
    `${what} in val2 of the ICR writes`,
    of('ICR', exits).map(({ val2 }) => (val2 & mask) >>> 0),
    writes.map(({ value }) => (value & mask) >>> 0),
  );
}

const deliveryModes = [
  ['fixed', 'fixed'],
  ['lowest-priority', 'lowestPriority'],
  ['smi', 'smi'],
  ['reserved-3', 'reserved3'],
  ['nmi', 'nmi'],
  ['init', 'init'],
  ['start-up', 'startUp'],
  ['reserved-7', 'reserved7'],
] as const;

const shorthands = [
  ['none', 'none'],
  ['self', 'self'],
  ['all', 'allIncludingSelf'],
  ['others', 'allExcludingSelf'],
] as const;

const destinationModes = ['physical', 'logical'] as const;
const levels = ['deassert', 'assert'] as const;
const triggers = ['edge', 'level'] as const;

const everyCommand: Partial<Icr>[] = deliveryModes.flatMap(([, deliveryMode]) =>
  destinationModes.flatMap((destinationMode) =>
    levels.flatMap((level) => triggers.map((trigger) => ({ deliveryMode, destinationMode, level, trigger }))),
  ),
);

export const icrChecks: Check[] = [
  {
    id: 'payload.icr.vector',
    claim: 'val2 carries the vector of an ICR write, for each of the 256',
    source: ICR_FIELDS,
    deadline: TABLE,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, { what: 'the vectors', mask: 0xff, writes: range(256).map((vector) => send({ vector })) }),
  },
  ...table(deliveryModes, ([word, deliveryMode]) => ({
    id: `payload.icr.delivery-mode.${word}`,
    claim: `val2 carries delivery mode ${word}`,
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx: CheckContext) =>
      checkField(ctx, { what: 'the delivery mode', mask: 0x700, writes: [send({ vector: VECTOR, deliveryMode })] }),
  })),
  {
    id: 'payload.icr.destination-mode',
    claim: 'val2 carries the destination mode: physical or logical',
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the destination modes',
        mask: 1 << 11,
        writes: destinationModes.map((destinationMode, at) => send({ vector: VECTOR + at, destinationMode })),
      }),
  },
  {
    id: 'payload.icr.level',
    claim: 'val2 carries the level: de-assert or assert',
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the levels',
        mask: 1 << 14,
        writes: levels.map((level, at) => send({ vector: VECTOR + at, level })),
      }),
  },
  {
    id: 'payload.icr.trigger',
    claim: 'val2 carries the trigger mode: edge or level',
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the trigger modes',
        mask: 1 << 15,
        writes: triggers.map((trigger, at) => send({ vector: VECTOR + at, trigger })),
      }),
  },
  ...table(shorthands, ([word, shorthand]) => ({
    id: `payload.icr.shorthand.${word}`,
    claim: `val2 carries the destination shorthand ${word}`,
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx: CheckContext) =>
      checkField(ctx, { what: 'the shorthand', mask: 3 << 18, writes: [send({ vector: VECTOR, shorthand })] }),
  })),
  {
    id: 'payload.icr.fields',
    claim: 'val2 carries every combination of delivery mode, destination mode, level and trigger mode',
    source: ICR_FIELDS,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the fields',
        mask: 0xcf00,
        writes: everyCommand.map((fields, at) => send({ vector: 0x80 + at, ...fields })),
      }),
  },
  {
    id: 'payload.icr.reserved',
    claim: 'val2 carries each reserved bit of ICR as it was written',
    source: `${HOOK}: the value is taken before KVM looks at it`,
    needs: [forwarding],
    run: (ctx) => {
      const bits = [13, 16, 17, ...range(12).map((bit) => 20 + bit)].map((bit) => 2 ** bit);
      return checkField(ctx, {
        what: 'the reserved bits',
        mask: 0xfff3_2000,
        writes: bits.map((reserved) => send({ vector: VECTOR, reserved })),
      });
    },
  },
  {
    id: 'payload.icr.delivery-status',
    claim: 'val2 carries the delivery status bit of ICR as it was written, which the register does not keep',
    source: `${HOOK}: the value is taken before KVM looks at it`,
    needs: [forwarding],
    run: (ctx) =>
      checkField(ctx, {
        what: 'the delivery status',
        mask: 1 << 12,
        writes: [send({ vector: VECTOR, deliveryStatus: 'sendPending' })],
      }),
  },
];
