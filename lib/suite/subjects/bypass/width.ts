/** Stores that no register of the page takes. */

import { type Instruction, write16, write32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import { write8 } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { arrived, runSender } from '../../kit/senders.ts';
import { HOOK } from '../../kit/sources.ts';
import { forwarded } from './guest.ts';

/** Stores that no 32-bit register of the APIC page takes: of a wrong size, or not at a multiple of 16. */
const refused = [
  ['byte', 'One byte', [write8(at('ICR'), 0x45)]],
  ['word', 'Two bytes', [write16(at('ICR'), 0x4045)]],
  ['word-high', "Two bytes at ICR's upper half", [write16(at('ICR') + 2, 0x000c)]],
  ['unaligned', 'Four bytes one byte behind ICR', [write32(at('ICR') + 1, 0x40)]],
  ['gap', 'Four bytes four bytes behind ICR', [write32(at('ICR') + 4, 0x4045)]],
] as const;

/** ICR2 first, so that the stores that follow would send to vCPU 1. */
const refusedSender = (ctx: CheckContext, stores: readonly Instruction[]) =>
  runSender(ctx, stores, {}, (machine) => machine.vcpu(0).vcpu.setLapicRegisters({ ICR2: 1 << 24 }));

export const widthChecks: Check[] = [
  ...table(refused, ([word, what, stores]) => ({
    id: `bypass.width.${word}.not-sent`,
    claim: `${what} sends no IPI`,
    source: 'SDM vol. 3 11.4.1; arch/x86/kvm/lapic.c: apic_mmio_write',
    async run(ctx: CheckContext) {
      const machine = await refusedSender(ctx, stores);
      ctx.equal('the vectors that arrived', arrived(machine, 1), []);
    },
  })),
  ...table(refused, ([word, what, stores]) => ({
    id: `bypass.width.${word}.not-forwarded`,
    claim: `${what} is not forwarded, since it sends nothing`,
    source: HOOK,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      ctx.equal('the number of exits', forwarded(await refusedSender(ctx, stores)), 0);
    },
  })),
];
