/** Other instructions that store 32 bits. */

import { mov32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import {
  addAtEdiEax,
  leaEspEdi4,
  movAtEdiEax,
  movEbxEsp,
  movEspEbx,
  movsd,
  orAtEdiEax,
  popAtEdi,
  pushEax,
  stosd,
  xchgAtEdiEax,
} from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { runSender } from '../../kit/senders.ts';
import { HOOK } from '../../kit/sources.ts';
import { forwarded } from './guest.ts';

/** Instructions that write ICR2 once, as 32 bits. edi holds its address, eax is 0x01000000. */
const instructions = [
  ['mov', 'MOV of a register', [movAtEdiEax]],
  ['stos', 'STOSD', [stosd]],
  ['movs', 'MOVSD', [movsd]],
  ['xchg', 'XCHG', [xchgAtEdiEax]],
  ['or', 'OR with a memory operand', [orAtEdiEax]],
  ['add', 'ADD with a memory operand', [addAtEdiEax]],
  ['pop', 'POP to memory', [pushEax, popAtEdi]],
  ['push', 'PUSH with its stack there', [movEbxEsp, leaEspEdi4, pushEax, movEspEbx]],
] as const;

export const instructionChecks: Check[] = [
  ...table(instructions, ([word, what, code]) => ({
    id: `bypass.instruction.${word}`,
    claim: `A write of ICR2 by ${what} is forwarded once`,
    source: HOOK,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, ({ shared }) => [
        mov32('eax', 0x0100_0000),
        mov32('esi', shared),
        mov32('edi', at('ICR2')),
        ...code,
      ]);
      ctx.equal('the number of exits', forwarded(machine), 1);
    },
  })),
];
