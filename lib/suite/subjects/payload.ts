/** What stands in kvm_run's lapic_irq behind a guest's ICR or ICR2 write. */
import { encodeIcr, encodeIcr2 } from '../../abi/icr.ts';
import { subject, table } from '../check.ts';
import type { CheckContext } from '../context.ts';
import { icr, icr2, type LapicWrite, lapicWriter, runUntilDone } from '../guests.ts';
import { forwarding } from '../needs.ts';

const PATCH = 'patch 2/3, arch/x86/kvm/lapic.c: apic_mmio_write';
/** No vCPU has it: what is sent there changes nothing. */
const ABSENT = 0x77;

/** Writes on a machine of its own, and what was forwarded of them. */
async function forwarded(ctx: CheckContext, writes: readonly LapicWrite[]) {
  const machine = await ctx.machine();
  machine.vcpu(0).program(lapicWriter(writes));
  const trace = await runUntilDone(machine);
  return trace.named('KVM_EXIT_DSM_SEND_IRQ').map(({ exit }) => exit);
}

const deliveryModes = [
  ['fixed', 'fixed'],
  ['lowest-priority', 'lowestPriority'],
  ['smi', 'smi'],
  ['reserved-3', 'reserved3'],
  ['nmi', 'nmi'],
  ['init', 'init'],
  ['start-up', 'startUp'],
  ['reserved-7', 'reserved7'],
] as const;

export const payload = subject('payload', 'the fields of lapic_irq', [
  {
    id: 'payload.val.register',
    claim: 'val is the offset of the register that was written: 0x310 for ICR2, 0x300 for ICR',
    source: PATCH,
    needs: [forwarding],
    async run(ctx) {
      const exits = await forwarded(ctx, [icr2(encodeIcr2({ destination: ABSENT })), icr(encodeIcr({ vector: 0xf0 }))]);
      ctx.equal(
        'val of the two exits',
        exits.map(({ val }) => val),
        [0x310, 0x300],
      );
    },
  },
  {
    id: 'payload.icr.vector',
    claim: 'val2 carries the vector of an ICR write, for each of the 256',
    source: `${PATCH}; SDM vol. 3 11.6.1`,
    needs: [forwarding],
    async run(ctx) {
      const vectors = Array.from({ length: 256 }, (_, vector) => vector);
      const to = icr2(encodeIcr2({ destination: ABSENT }));
      const exits = await forwarded(ctx, [to, ...vectors.map((vector) => icr(encodeIcr({ vector })))]);
      ctx.equal(
        'the vectors',
        exits.flatMap((exit) => (exit.register === 'ICR' ? exit.icr.vector : [])),
        vectors,
      );
    },
  },
  {
    id: 'payload.icr2.destination',
    claim: 'dest_id is bits 31:24 of the value that was written to ICR2, for each of the 256',
    source: `${PATCH}; SDM vol. 3 11.6.1`,
    needs: [forwarding],
    async run(ctx) {
      const destinations = Array.from({ length: 256 }, (_, destination) => destination);
      const exits = await forwarded(
        ctx,
        destinations.map((destination) => icr2(encodeIcr2({ destination }))),
      );
      ctx.equal(
        'the destinations',
        exits.map(({ destId }) => destId),
        destinations,
      );
    },
  },
  ...table(deliveryModes, ([word, deliveryMode]) => ({
    id: `payload.icr.delivery-mode.${word}`,
    claim: `val2 carries delivery mode ${word}`,
    source: `${PATCH}; SDM vol. 3 11.6.1`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const value = encodeIcr({ vector: 0x41, deliveryMode });
      const exits = await forwarded(ctx, [icr2(encodeIcr2({ destination: ABSENT })), icr(value)]);
      ctx.equal(
        'val2 of the two exits',
        exits.map(({ val2 }) => val2),
        [ABSENT * 2 ** 24, value],
      );
      ctx.equal(
        'dest_id of the two exits',
        exits.map(({ destId }) => destId),
        [ABSENT, ABSENT],
      );
    },
  })),
]);
