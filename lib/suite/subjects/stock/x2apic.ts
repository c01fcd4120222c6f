/** IPIs in x2APIC mode. */

import { X2APIC_ICR, X2APIC_SELF_IPI } from '../../../abi/apic/msr.ts';
import { mov32, rdmsr, store32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import { movEaxEdx } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { x2apic } from '../../kit/needs.ts';
import { reached, runSender, words, writeMsr } from '../../kit/senders.ts';

const X2 = { apic: 'x2apic', vcpus: 3 } as const;

const x2Routes = [
  ['physical', 'to an APIC id reaches that vCPU alone', 0x0000_0002_0000_4045n, [2]],
  ['broadcast', 'to destination 0xffffffff reaches every vCPU', 0xffff_ffff_0000_4045n, [0, 1, 2]],
  ['cluster', 'to a logical destination reaches the members of its cluster', 0x0000_0006_0000_4845n, [1, 2]],
  ['others', 'with the shorthand all excluding self reaches every other vCPU', 0x0000_0000_000c_4045n, [1, 2]],
] as const;

export const x2apicChecks: Check[] = [
  ...table(x2Routes, ([word, what, value, expected]) => ({
    id: `stock.x2apic.${word}`,
    claim: `In x2APIC mode a fixed IPI ${what}`,
    source: 'SDM vol. 3 11.12.9 and 11.12.10',
    needs: [x2apic],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, writeMsr(X2APIC_ICR, value), X2);
      ctx.equal('the vCPUs that the IPI reached', reached(machine, 0x45), [...expected]);
    },
  })),
  {
    id: 'stock.x2apic.self-ipi',
    claim: 'In x2APIC mode a write of SELF IPI reaches the vCPU that writes alone',
    source: 'SDM vol. 3 11.12.11',
    needs: [x2apic],
    async run(ctx) {
      const machine = await runSender(ctx, writeMsr(X2APIC_SELF_IPI, 0x45n), X2);
      ctx.equal('the vCPUs that the IPI reached', reached(machine, 0x45), [0]);
    },
  },
  {
    id: 'stock.x2apic.reads-back',
    claim: 'In x2APIC mode a guest reads from the ICR the 64 bits that it wrote',
    source: 'SDM vol. 3 11.12.9',
    needs: [x2apic],
    async run(ctx) {
      const machine = await runSender(
        ctx,
        ({ shared }) => [
          ...writeMsr(X2APIC_ICR, 0x0000_0077_0000_4045n),
          mov32('ecx', X2APIC_ICR),
          rdmsr,
          store32(shared),
          movEaxEdx,
          store32(shared + 4),
        ],
        X2,
      );
      ctx.equal('the ICR', words(machine, machine.shared, 2), [0x4045, 0x77]);
    },
  },
];
