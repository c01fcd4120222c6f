/** That the instruction that writes makes no difference. */

import { flat32, type Instruction, mov32, out8, store32, write32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import {
  movAtRax,
  movMemoryEbx,
  movntiMemoryEbx,
  movsd,
  orMemory,
  popMemory,
  push32,
  stosd,
  xchgMemoryEbx,
} from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { type ForwardedExit, forwardedExits, writeOf } from '../../kit/forwarded-writes.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { withoutRepeats } from '../../kit/rows.ts';
import { HOOK } from '../../kit/sources.ts';
import { exitsOf, ICR2_ADDRESS, PRIME, PRIMED_PORT } from './forwarded.ts';

const VALUE = 0x7700_0000;

/** Instructions that write VALUE to ICR2, each in a way of its own. */
const instructions: { word: string; what: string; code: (ram: number) => Instruction[] }[] = [
  {
    word: 'mov-register',
    what: 'mov from a register',
    code: () => [mov32('ebx', VALUE), movMemoryEbx(ICR2_ADDRESS)],
  },
  { word: 'mov-eax', what: 'the short form of mov from eax', code: () => [mov32('eax', VALUE), store32(ICR2_ADDRESS)] },
  {
    word: 'stosd',
    what: 'stosd',
    code: () => [mov32('edi', ICR2_ADDRESS), mov32('eax', VALUE), stosd],
  },
  {
    word: 'movsd',
    what: 'movsd from memory',
    code: (ram) => [write32(ram, VALUE), mov32('esi', ram), mov32('edi', ICR2_ADDRESS), movsd],
  },
  {
    word: 'push',
    what: 'push',
    code: () => [mov32('esp', ICR2_ADDRESS + 4), push32(VALUE)],
  },
  {
    word: 'pop',
    what: 'pop to memory',
    code: () => [push32(VALUE), popMemory(ICR2_ADDRESS)],
  },
  {
    word: 'xchg',
    what: 'xchg, which reads and writes',
    code: () => [mov32('ebx', VALUE), xchgMemoryEbx(ICR2_ADDRESS)],
  },
  {
    word: 'or',
    what: 'or, which reads and writes',
    code: () => [orMemory(ICR2_ADDRESS, VALUE)],
  },
  {
    word: 'movnti',
    what: 'movnti',
    code: () => [mov32('ebx', VALUE), movntiMemoryEbx(ICR2_ADDRESS)],
  },
];

/** A write of ICR2, and an exit after it, in 64-bit mode. */
const longMode = (value: number, port: number) => [mov32('eax', ICR2_ADDRESS), movAtRax(value), out8(port)];

/** In the program's own memory, behind every program of this file. */
const SCRATCH = 0x8000;

function checkWritten(ctx: CheckContext, exits: readonly ForwardedExit[]): void {
  ctx.equal(
    'the values that came out',
    exits.flatMap((exit) => writeOf(exit)?.value ?? []),
    [VALUE],
  );
}

export const instructionChecks: Check[] = [
  ...table(instructions, ({ word, what, code }) => ({
    id: `payload.instruction.${word}`,
    claim: `A write of ICR2 by ${what} comes out with the value that was written`,
    source: `${HOOK}: every write that KVM emulates ends there`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      checkWritten(ctx, await exitsOf(ctx, code(SCRATCH)));
    },
  })),
  {
    id: 'payload.instruction.long-mode',
    claim: 'A write of ICR2 in 64-bit mode comes out with the value that was written',
    source: `${HOOK}: every write that KVM emulates ends there`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const code = [...longMode(PRIME, PRIMED_PORT), ...longMode(VALUE, DONE_PORT)];
      machine.vcpu(0).program({ mode: 'long64', bytes: flat32(...code).bytes });
      const driver = new Driver(ctx, machine);
      driver.until(PRIMED_PORT);
      const exits = forwardedExits(driver.untilDone());
      checkWritten(ctx, withoutRepeats(exits.filter(({ val, val2 }) => val !== PRIME && val2 !== PRIME)));
    },
  },
];
