/** One instruction that writes both registers, or that writes and goes on in user space. */

import { type Instruction, mov32, out8, write32 } from '../../../guest/bytes.ts';
import { type Check, type Shortfall, table } from '../../check.ts';
import { cld, pushad, repMovsd, repStosd, std, xchgMemoryEbx } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at, DONE_PORT } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { asPosted } from '../../kit/profiles.ts';
import { HOOK } from '../../kit/sources.ts';
import {
  answer,
  checkEachOnce,
  DEVICE,
  nth,
  nthSend,
  OTHER_PORT,
  primed,
  primedMachine,
  writesIn,
} from '../../kit/writers.ts';

const ICR_ADDRESS = at('ICR');
const ICR2_ADDRESS = at('ICR2');
/** Memory of the guest's own, above every program. */
const SCRATCH = 0x10_0000;
/** Both registers, and the three dwords between them: there is no register at those. */
const DWORDS = 5;

const lost: Shortfall = {
  profiles: asPosted,
  reason: 'the forward is lost: there is one slot per vCPU, and the second write takes it before the first is told of',
  source: `${HOOK}, KVM_REQ_DSM_IRQ_FORWARD`,
  cause: /^only the second of its two writes came out/,
};

/** PUSHAD so that ECX is pushed at ICR2 and EBP at ICR; the others go to where there is no register. */
const pushBoth = (icr2: number, icr: number, stack: number): Instruction[] => [
  mov32('ecx', icr2),
  mov32('ebp', icr),
  mov32('esp', ICR2_ADDRESS + 8),
  pushad,
  mov32('esp', stack),
];

/** Below the first program: nothing else is there. */
const STACK = SCRATCH + 0x1000;
const [first, second] = [nth(0).value, nthSend(0).value];

interface Both {
  word: string;
  what: string;
  /** The registers in the order in which they are written. */
  order: readonly ['ICR2', 'ICR'] | readonly ['ICR', 'ICR2'];
  code: readonly Instruction[];
  /** Answers to its reads from DEVICE, by the offset. */
  answers?: Readonly<Record<number, number>>;
}

const both: readonly Both[] = [
  { word: 'pushad', what: 'PUSHAD', order: ['ICR2', 'ICR'], code: pushBoth(first, second, STACK) },
  {
    word: 'rep-movsd',
    what: 'REP MOVSD',
    order: ['ICR', 'ICR2'],
    code: [
      write32(SCRATCH, second),
      write32(SCRATCH + 16, first),
      mov32('esi', SCRATCH),
      mov32('edi', ICR_ADDRESS),
      mov32('ecx', DWORDS),
      repMovsd,
    ],
  },
  {
    word: 'rep-movsd-down',
    what: 'REP MOVSD downwards, ICR2 first as a guest would send an IPI',
    order: ['ICR2', 'ICR'],
    code: [
      write32(SCRATCH, second),
      write32(SCRATCH + 16, first),
      mov32('esi', SCRATCH + 16),
      mov32('edi', ICR2_ADDRESS),
      mov32('ecx', DWORDS),
      std,
      repMovsd,
      cld,
    ],
  },
  {
    word: 'rep-stosd',
    what: 'REP STOSD',
    order: ['ICR', 'ICR2'],
    code: [mov32('eax', second), mov32('edi', ICR_ADDRESS), mov32('ecx', DWORDS), repStosd],
  },
  {
    word: 'rep-movsd-device',
    what: 'REP MOVSD from an address that user space answers for, which has exits of its own between them',
    order: ['ICR', 'ICR2'],
    code: [mov32('esi', DEVICE), mov32('edi', ICR_ADDRESS), mov32('ecx', DWORDS), repMovsd],
    answers: { 0: second, 16: first },
  },
];

/** That an instruction's two writes come out, each once. */
async function checkBoth(ctx: CheckContext, { order, code, answers = {} }: Both): Promise<void> {
  const driver = await primed(ctx, code);
  const exits = driver.untilDone((exit) => {
    if (exit.name === 'KVM_EXIT_MMIO') answer(driver, answers[Number(exit.physAddr) - DEVICE] ?? 0);
  });
  const seen = writesIn(exits).map(({ register }) => register);
  if (seen.length === 1 && seen[0] === order[1])
    ctx.fail(`only the second of its two writes came out, which is ${order[1]}`);
  ctx.equal('the registers that came out', seen.toSorted(), order.toSorted());
}

export const instructionChecks: Check[] = [
  ...table(both, (one) => ({
    id: `once.both.${one.word}`,
    claim: `Both writes of one ${one.what} come out once`,
    source: 'the feature: no IPI is lost on its way to another machine',
    needs: [forwarding],
    shortfall: lost,
    run: (ctx: CheckContext) => checkBoth(ctx, one),
  })),
  {
    id: 'once.both.again',
    claim: 'What an instruction that writes both registers leaves behind is no second exit for the next write',
    source: HOOK,
    needs: [forwarding],
    async run(ctx) {
      const code = [...pushBoth(first, second, STACK), out8(OTHER_PORT), out8(OTHER_PORT)];
      const driver = await primed(ctx, [...code, write32(ICR2_ADDRESS, nth(1).value)]);
      driver.until(OTHER_PORT);
      checkEachOnce(driver.untilDone(), [nth(1)]);
    },
  },
  {
    id: 'once.both.delivered',
    claim: 'The IPI of one PUSHAD that writes ICR2 and ICR is taken once by the other vCPU',
    source: 'SDM vol. 3 11.6.1',
    needs: [forwarding],
    async run(ctx) {
      const vector = 0x51;
      const { machine, drivers } = await primedMachine(ctx, [pushBoth(0x0100_0000, 0x4000 + vector, STACK), []]);
      for (const driver of drivers) driver.until(DONE_PORT);
      ctx.equal('how often vCPU 1 took it', machine.vcpu(1).interrupts.get(vector) ?? 0, 1);
    },
  },
  {
    id: 'once.within.read-ahead',
    claim: 'A write whose instruction goes on with a read that user space answers comes out once',
    source: `${HOOK}; Documentation/virt/kvm/api.rst 5: pending operations`,
    needs: [forwarding],
    async run(ctx) {
      const driver = await primed(ctx, [mov32('esi', DEVICE), mov32('edi', ICR2_ADDRESS), mov32('ecx', 2), repMovsd]);
      const exits = driver.untilDone((exit) => {
        if (exit.name === 'KVM_EXIT_MMIO') answer(driver, nth(0).value);
      });
      checkEachOnce(exits, [nth(0)]);
    },
  },
  {
    id: 'once.within.read-and-write',
    claim: 'A write of ICR by an instruction that reads the register first comes out once',
    source: HOOK,
    needs: [forwarding],
    async run(ctx) {
      const driver = await primed(ctx, [mov32('ebx', second), xchgMemoryEbx(ICR_ADDRESS)]);
      checkEachOnce(driver.untilDone(), [nthSend(0)]);
    },
  },
];
