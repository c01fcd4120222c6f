/** That the instruction that writes makes no difference. */
import { type Instruction, mov32, store32, write32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { type ForwardedExit, forwardedExits, withoutRepeats, writeOf } from '../../kit/forwarded-writes.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { HOOK } from '../../kit/sources.ts';
import { exitsOf, ICR2_ADDRESS, PRIME, PRIMED_PORT } from './forwarded.ts';

const VALUE = 0x7700_0000;

/** Where `movsd` takes its value from, in the program's own page: it is that instruction's operand. */
const le32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

/** Instructions that write VALUE to ICR2, each in a way of its own. */
const instructions: { word: string; what: string; code: (ram: number) => Instruction[] }[] = [
  {
    word: 'mov-register',
    what: 'mov from a register',
    code: () => [mov32('ebx', VALUE), Uint8Array.of(0x89, 0x1d, ...le32(ICR2_ADDRESS))],
  },
  { word: 'mov-eax', what: 'the short form of mov from eax', code: () => [mov32('eax', VALUE), store32(ICR2_ADDRESS)] },
  {
    word: 'stosd',
    what: 'stosd',
    code: () => [mov32('edi', ICR2_ADDRESS), mov32('eax', VALUE), Uint8Array.of(0xab)],
  },
  {
    word: 'movsd',
    what: 'movsd from memory',
    code: (ram) => [write32(ram, VALUE), mov32('esi', ram), mov32('edi', ICR2_ADDRESS), Uint8Array.of(0xa5)],
  },
  {
    word: 'push',
    what: 'push',
    code: () => [mov32('esp', ICR2_ADDRESS + 4), Uint8Array.of(0x68, ...le32(VALUE))],
  },
  {
    word: 'pop',
    what: 'pop to memory',
    code: () => [Uint8Array.of(0x68, ...le32(VALUE)), Uint8Array.of(0x8f, 0x05, ...le32(ICR2_ADDRESS))],
  },
  {
    word: 'xchg',
    what: 'xchg, which reads and writes',
    code: () => [mov32('ebx', VALUE), Uint8Array.of(0x87, 0x1d, ...le32(ICR2_ADDRESS))],
  },
  {
    word: 'or',
    what: 'or, which reads and writes',
    code: () => [Uint8Array.of(0x81, 0x0d, ...le32(ICR2_ADDRESS), ...le32(VALUE))],
  },
  {
    word: 'movnti',
    what: 'movnti',
    code: () => [mov32('ebx', VALUE), Uint8Array.of(0x0f, 0xc3, 0x1d, ...le32(ICR2_ADDRESS))],
  },
];

/** `mov eax, ICR2; mov dword [rax], VALUE; out DONE, al`, in 64-bit mode. */
const longMode = Uint8Array.of(0xb8, ...le32(ICR2_ADDRESS), 0xc7, 0x00, ...le32(VALUE), 0xe6, DONE_PORT);

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
      const first = [0xb8, ...le32(ICR2_ADDRESS), 0xc7, 0x00, ...le32(PRIME), 0xe6, PRIMED_PORT];
      machine.vcpu(0).program({ mode: 'long64', bytes: Uint8Array.of(...first, ...longMode) });
      const driver = new Driver(ctx, machine);
      driver.until(PRIMED_PORT);
      const exits = forwardedExits(driver.untilDone());
      checkWritten(ctx, withoutRepeats(exits.filter(({ val, val2 }) => val !== PRIME && val2 !== PRIME)));
    },
  },
];
