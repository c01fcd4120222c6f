/** Writes of handlers, between signals, and of one instruction. */

import { isDeepStrictEqual } from 'node:util';
import type { Exit } from '../../../exit/exit.ts';
import { mov32, out8 } from '../../../guest/bytes.ts';
import { PROGRAM } from '../../../guest/layout.ts';
import type { Check } from '../../check.ts';
import { int, iretd, repMovsd } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import type { Driver } from '../../kit/drive.ts';
import { at, DONE_PORT, writeInstruction as write } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { asPosted } from '../../kit/profiles.ts';
import { firstOnes, sameRows } from '../../kit/rows.ts';
import { SLOT } from '../../kit/sources.ts';
import { answer, byTurns, CODE_OFFSET, DEVICE, nth, nthSend, primed, writesIn } from '../../kit/writers.ts';
import { EXITS, line, mmio, VECTOR } from './exits.ts';

const ICR2_ADDRESS = at('ICR2');

/** That writes come out in order though each KVM_RUN has one before it that is not to enter the guest. */
async function checkInterrupted(ctx: CheckContext, interrupt: (driver: Driver) => Exit | string): Promise<void> {
  const writes = byTurns(8);
  const driver = await primed(ctx, writes.map(write));
  sameRows('the writes', firstOnes(writesIn(driver.untilDoneBehind(() => interrupt(driver)))), writes);
}

export const interruptedChecks: Check[] = [
  {
    id: 'order.handler',
    claim: 'The writes of a handler come out between those before and after the instruction that raised it',
    source: `${SLOT}; SDM vol. 2, INT n`,
    needs: [forwarding],
    async run(ctx) {
      const main = [write(nth(0)), int(VECTOR), write(nth(3)), out8(DONE_PORT)];
      const length = main.reduce((sum, one) => sum + one.length, 0);
      const handlers = { [VECTOR]: PROGRAM + CODE_OFFSET + length };
      const driver = await primed(ctx, [...main, write(nth(1)), write(nthSend(2)), iretd], { handlers });
      sameRows('the writes', firstOnes(writesIn(driver.untilDone())), [nth(0), nth(1), nthSend(2), nth(3)]);
    },
  },
  {
    id: 'order.signal',
    claim: 'Writes come out in program order though each KVM_RUN has one before it with a signal pending',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.10: EINTR`,
    needs: [forwarding],
    run: (ctx) => checkInterrupted(ctx, (driver) => driver.runWithSignal()),
  },
  {
    id: 'order.immediate-exit',
    claim: 'Writes come out in program order though each KVM_RUN has one before it with immediate_exit set',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 5: immediate_exit`,
    needs: [forwarding],
    run: (ctx) => checkInterrupted(ctx, (driver) => driver.runImmediateExit()),
  },
  {
    id: 'order.same-instruction',
    claim: 'A write comes out before the access to user space that the same instruction makes after it',
    source: EXITS,
    needs: [forwarding],
    shortfall: {
      profiles: asPosted,
      reason:
        'the exit of an instruction that goes on is told first: KVM_RUN returns with it before it looks at requests',
      source: 'arch/x86/kvm/x86.c: kvm_arch_vcpu_ioctl_run, complete_userspace_io',
      cause: /^the write came out after the read that follows it/,
    },
    async run(ctx) {
      // REP MOVSD, twice: reads DEVICE, writes ICR2, reads DEVICE + 4, writes where there is no register.
      const driver = await primed(ctx, [mov32('esi', DEVICE), mov32('edi', ICR2_ADDRESS), mov32('ecx', 2), repMovsd]);
      const { register, value } = nth(0);
      const exits = driver.untilDone((exit) => {
        if (exit.name === 'KVM_EXIT_MMIO') answer(driver, value);
      });
      const seen = line(exits, mmio);
      const reads = [0, 4].map((offset) => `read of 0x${(DEVICE + offset).toString(16)}`);
      if (isDeepStrictEqual(seen, [...reads, value])) ctx.fail('the write came out after the read that follows it');
      sameRows(`the exits, ${register} as its value`, seen, [reads[0], value, reads[1]]);
    },
  },
];
