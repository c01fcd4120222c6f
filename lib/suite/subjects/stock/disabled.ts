/** A local APIC that its guest has disabled by software. */
import { type Instruction, write32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at } from '../../kit/guests.ts';
import { keep, runSender, words } from '../../kit/senders.ts';

/** Bit 16 of an entry of the LVT. */
const MASKED = 1 << 16;
const DISABLE: Instruction = write32(at('SVR'), 0xff);
const ENABLE: Instruction = write32(at('SVR'), 0x1ff);

const entries = { LVT_TIMER: 0x51, LVT_LINT0: 0x400, LVT_LINT1: 0x52, LVT_ERROR: 0x53 } as const;
const names = Object.keys(entries) as (keyof typeof entries)[];
const writeAll: readonly Instruction[] = names.map((name) => write32(at(name), entries[name]));

const orders = [
  ['masks', 'masks each entry of its LVT that was not', [...writeAll, DISABLE]],
  ['stays', 'keeps each entry of its LVT masked, whatever is written there', [DISABLE, ...writeAll]],
  ['enabled', 'leaves each entry of its LVT masked when it is enabled again', [...writeAll, DISABLE, ENABLE]],
] as const;

export const disabledChecks: Check[] = table(orders, ([word, what, code]) => ({
  id: `stock.disabled.${word}`,
  claim: `A local APIC that is disabled by software ${what}`,
  source: 'SDM vol. 3 11.4.7.2',
  async run(ctx: CheckContext) {
    const machine = await runSender(ctx, ({ shared }) => [
      ...code,
      ...names.flatMap((name, index) => keep(name, shared + 4 * index)),
    ]);
    ctx.equal(
      names.join(', '),
      words(machine, machine.shared, names.length),
      names.map((name) => entries[name] | MASKED),
    );
  },
}));
