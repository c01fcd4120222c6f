/** A kernel without the series forwards nothing. */
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { fullIrqchip, splitIrqchip, stockKernel } from '../../kit/needs.ts';
import { arrived, runSender, send, sendIcr } from '../../kit/senders.ts';
import { KVM } from './target.ts';

const unforwarded = [
  ['full', fullIrqchip],
  ['split', splitIrqchip],
] as const;

export const forwardingChecks: Check[] = [
  ...table(unforwarded, ([irqchip, need]) => ({
    id: `stock.nothing-forwarded.${irqchip}`,
    claim: `Without the series an IPI makes no exit, with the ${irqchip} irqchip`,
    source: `Documentation/virt/kvm/api.rst 5; ${KVM}: apic_mmio_write`,
    needs: [stockKernel, need],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, [...send(1, 0x4045), ...sendIcr(0xc_4046)], { irqchip });
      ctx.equal(
        'the exits',
        [...machine.trace].map(({ exit }) => exit.name),
        ['KVM_EXIT_IO'],
      );
      ctx.equal('the vectors that arrived', arrived(machine, 1), [0x45, 0x46]);
    },
  })),
];
