/** Which exit it is, of which register, and whose. */
import { encodeIcr2 } from '../../../abi/apic/icr.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { icr2, lapicWriter } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { HOOK } from '../../kit/sources.ts';
import { ABSENT, forwarded, of, PRIME, send, toAbsent, VECTOR } from './forwarded.ts';

/** Written by hand: a claim does not come from the table under test. */
const reasonsByHand: Readonly<Record<string, number>> = { 'gvm-old': 41 };

const HEADER = 'patch 1/3, include/uapi/linux/kvm.h: lapic_irq';

export const exitChecks: Check[] = [
  {
    id: 'payload.reason',
    claim: 'The exit has the reason that the profile gives KVM_EXIT_DSM_SEND_IRQ, which is 45 in the series',
    source: 'patch 1/3, include/uapi/linux/kvm.h; that of the profile',
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      machine.vcpu(0).program(lapicWriter([icr2(PRIME), toAbsent, send({ vector: VECTOR })]));
      const reasons = new Driver(ctx, machine).untilDone().map(({ reason }) => reason);
      ctx.equal('the set of reasons before the end', [...new Set(reasons)], [reasonsByHand[ctx.profile.name] ?? 45]);
    },
  },
  {
    id: 'payload.val.register',
    claim: 'val is the offset of the register that was written: 0x310 for ICR2, 0x300 for ICR',
    source: `${HEADER}; ${HOOK}`,
    needs: [forwarding],
    async run(ctx) {
      const exits = await forwarded(ctx, [toAbsent, send({ vector: VECTOR })]);
      ctx.equal(
        'val of the two exits',
        exits.map(({ val }) => val),
        [0x310, 0x300],
      );
    },
  },
  ...table(['ICR2', 'ICR'] as const, (register) => ({
    id: `payload.${register.toLowerCase()}.id`,
    claim: `id of an ${register} write is the vcpu_id of the vCPU that wrote, whatever the destination`,
    source: `${HEADER}; patch 2/3, arch/x86/kvm/x86.c: vcpu_enter_guest`,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const writes = [1, ABSENT, 0x40].map((destination) => icr2(encodeIcr2({ destination })));
      // With a logical id that no vCPU has: nothing is delivered.
      const nothing = send({ vector: VECTOR, destinationMode: 'logical' });
      const exits = of(
        register,
        await forwarded(
          ctx,
          writes.flatMap((write) => [write, nothing]),
          { vcpus: 2 },
        ),
      );
      ctx.ok(exits.length > 0, `no write of ${register} came out`);
      ctx.equal('the set of ids', [...new Set(exits.map(({ id }) => id))], [0]);
    },
  })),
];
