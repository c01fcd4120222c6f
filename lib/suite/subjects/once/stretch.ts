/** Instructions that KVM emulates one after the other, without a look at its requests. */
import { out8 } from '../../../guest/bytes.ts';
import { type Check, type Shortfall, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import type { LapicWrite } from '../../kit/guests.ts';
import { asPosted } from '../../kit/profiles.ts';
import { sameRows } from '../../kit/rows.ts';
import { HOOK } from '../../kit/sources.ts';
import { STRETCH_SOURCE, stretched, stretchNeeds, stretchWrite } from '../../kit/stretch.ts';
import { byTurns, nth, nthSend, OTHER_PORT, writesIn } from '../../kit/writers.ts';

const lost: Shortfall = {
  profiles: asPosted,
  reason:
    'the forward is lost: there is one slot per vCPU, and the next instruction takes it before the first is told of',
  source: `${HOOK}, KVM_REQ_DSM_IRQ_FORWARD; ${STRETCH_SOURCE}`,
  cause: /^only the last of \d+ writes came out/,
};

const stretches: readonly [word: string, what: string, writes: readonly LapicWrite[]][] = [
  ['ipi', 'ICR2 and ICR', [nth(0), nthSend(0)]],
  ['icr2', 'ICR2 twice', [nth(0), nth(1)]],
  ['icr', 'ICR twice', [nthSend(0), nthSend(1)]],
  ['many', 'ICR2 and ICR 16 times by turns', byTurns(32)],
];

export const stretchChecks: Check[] = table(stretches, ([word, what, writes]) => ({
  id: `once.stretch.${word}`,
  claim: `Instructions that write ${what}, which KVM emulates one after the other, come out once each`,
  source: 'the feature: no IPI is lost on its way to another machine',
  needs: stretchNeeds,
  shortfall: lost,
  async run(ctx: CheckContext) {
    // The first exit of user space's own may come before them: that is a claim of its own.
    const code = [...writes.map(stretchWrite), out8(OTHER_PORT)];
    const seen = writesIn((await stretched(ctx, code)).untilDone());
    const [only] = seen;
    const last = writes.at(-1)!;
    if (seen.length === 1 && only!.register === last.register && only!.value === last.value)
      ctx.fail(`only the last of ${writes.length} writes came out, which is of ${last.register}`);
    sameRows('the writes', seen, writes);
  },
}));
