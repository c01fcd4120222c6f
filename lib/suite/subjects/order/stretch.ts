/** A write among instructions that KVM emulates one after the other, without a look at its requests. */
import { isDeepStrictEqual } from 'node:util';
import { DeadlineError } from '../../../base/errors.ts';
import type { Exit } from '../../../exit/exit.ts';
import { hlt, type Instruction, in8, out8 } from '../../../guest/bytes.ts';
import { type Check, type Shortfall, table } from '../../check.ts';
import { write32Real16 } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { asPosted } from '../../kit/profiles.ts';
import { sameRows } from '../../kit/rows.ts';
import { STRETCH_SOURCE, stretched, stretchNeeds, stretchWrite } from '../../kit/stretch.ts';
import { DEVICE, nth, OTHER_PORT } from '../../kit/writers.ts';
import { EXITS, line, mmio } from './exits.ts';

const late = (cause: RegExp): Shortfall => ({
  profiles: asPosted,
  reason: 'the exit is late: KVM emulates the next instructions before it looks at requests',
  source: STRETCH_SOURCE,
  cause,
});

/** What comes out of a write, and of the instruction behind it. */
const others: readonly [word: string, what: string, code: Instruction, as: string][] = [
  ['out', 'OUT', out8(OTHER_PORT), 'out'],
  ['in', 'IN', in8(OTHER_PORT), 'in'],
  ['mmio-write', 'a write to an address without memory', write32Real16(DEVICE, 1), mmioWrite()],
];

function mmioWrite(): string {
  return `write of 0x${DEVICE.toString(16)}`;
}

const other = (exit: Exit) =>
  exit.name === 'KVM_EXIT_IO' ? exit.direction : exit.name === 'KVM_EXIT_MMIO' ? mmio(exit) : exit.name;

/** Nothing is left to do that could take a KVM_RUN this long. */
const ENOUGH = '1s';

export const stretchChecks: Check[] = [
  ...table(others, ([word, what, code, as]) => ({
    id: `order.stretch.${word}`,
    claim: `A write comes out before ${what} by the next instruction, where KVM emulates one after the other`,
    source: EXITS,
    needs: stretchNeeds,
    shortfall: late(/^the write came out after the instruction behind it/),
    async run(ctx: CheckContext) {
      const driver = await stretched(ctx, [stretchWrite(nth(0)), code]);
      const seen = line(driver.untilDone(), other);
      if (isDeepStrictEqual(seen, [as, nth(0).value])) ctx.fail('the write came out after the instruction behind it');
      sameRows('the exits', seen, [nth(0).value, as]);
    },
  })),
  {
    id: 'order.stretch.hlt',
    claim: 'A write comes out before the HLT by the next instruction waits, where KVM emulates one after the other',
    source: `${EXITS}; SDM vol. 2, HLT`,
    needs: stretchNeeds,
    shortfall: late(/^KVM_RUN waits in the HLT behind the write/),
    async run(ctx) {
      const driver = await stretched(ctx, [stretchWrite(nth(0)), hlt]);
      try {
        const exit = driver.vcpu.run({ deadline: ENOUGH, profile: ctx.profile });
        ctx.exit(driver.vcpu.vcpuId, exit);
        ctx.equal('the first exit', exit.name, 'KVM_EXIT_DSM_SEND_IRQ');
      } catch (error) {
        if (!(error instanceof DeadlineError)) throw error;
        driver.vcpu.nmi();
        ctx.fail(`KVM_RUN waits in the HLT behind the write; after an NMI it returns with ${driver.next().name}`);
      }
    },
  },
];
