/** Other instructions that store 32 bits. */
import { mov32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { runSender } from '../../kit/senders.ts';
import { HOOK } from '../../kit/sources.ts';
import { forwarded } from './guest.ts';

/** Instructions that write ICR2 once, as 32 bits. edi holds its address, eax is 0x01000000. */
export const instructions = [
  ['mov', 'MOV of a register', [0x89, 0x07]],
  ['stos', 'STOSD', [0xab]],
  ['movs', 'MOVSD', [0xa5]],
  ['xchg', 'XCHG', [0x87, 0x07]],
  ['or', 'OR with a memory operand', [0x09, 0x07]],
  ['add', 'ADD with a memory operand', [0x01, 0x07]],
  ['pop', 'POP to memory', [0x50, 0x8f, 0x07]], // push eax; pop [edi]
  ['push', 'PUSH with its stack there', [0x89, 0xe3, 0x8d, 0x67, 0x04, 0x50, 0x89, 0xdc]], // esp is edi + 4
] as const;

export const instructionChecks: Check[] = [
  ...table(instructions, ([word, what, bytes]) => ({
    id: `bypass.instruction.${word}`,
    claim: `A write of ICR2 by ${what} is forwarded once`,
    source: HOOK,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, ({ shared }) => [
        mov32('eax', 0x0100_0000),
        mov32('esi', shared),
        mov32('edi', at('ICR2')),
        Uint8Array.from(bytes),
      ]);
      ctx.equal('the number of exits', forwarded(machine), 1);
    },
  })),
];
