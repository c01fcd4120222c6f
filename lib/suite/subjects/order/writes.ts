/** Writes among each other. */

import { mov32 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import { writeIcr2Ecx } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { type LapicWrite, writeInstruction as write } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { firstOnes, sameRows } from '../../kit/rows.ts';
import { SLOT } from '../../kit/sources.ts';
import { nth, nthSend, primed, range, writesIn } from '../../kit/writers.ts';

/** That exactly these writes come out, in their order; more than once does not matter. */
async function checkOrder(ctx: CheckContext, writes: readonly LapicWrite[]): Promise<void> {
  sameRows('the writes', firstOnes(writesIn((await primed(ctx, writes.map(write))).untilDone())), writes);
}

export const writeChecks: Check[] = [
  {
    id: 'order.icr2-icr',
    claim: 'ICR2 and then ICR, which is an IPI, come out in this order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, [nth(0), nthSend(0)]),
  },
  {
    id: 'order.icr-icr2',
    claim: 'ICR and then ICR2 come out in this order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, [nthSend(0), nth(0)]),
  },
  {
    id: 'order.burst.icr2',
    claim: '32 writes of ICR2 back to back come out in program order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, range(32).map(nth)),
  },
  {
    id: 'order.burst.icr',
    claim: '31 writes of ICR back to back come out in program order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, range(31).map(nthSend)),
  },
  {
    id: 'order.alternating',
    claim: 'Writes of ICR2 and ICR by turns come out in program order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) =>
      checkOrder(
        ctx,
        range(16).flatMap((n) => [nth(n), nthSend(n)]),
      ),
  },
  {
    id: 'order.random',
    claim: 'Writes of either register, in an order that the seed decides, come out in program order',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => checkOrder(ctx, ctx.random.shuffle([...range(24).map(nth), ...range(24).map(nthSend)])),
  },
  {
    id: 'order.loop',
    claim: 'Writes of a loop, by one and the same instruction, come out in the order in which it ran',
    source: SLOT,
    needs: [forwarding],
    async run(ctx) {
      const count = 32;
      const values = range(count).map((n) => nth(n).value);
      const driver = await primed(ctx, [mov32('ecx', count), mov32('eax', values[0]!), writeIcr2Ecx]);
      sameRows(
        'the values',
        firstOnes(writesIn(driver.untilDone())).map(({ value }) => value),
        values,
      );
    },
  },
];
