/** KVM_DSM_X2APIC: writes of the 64-bit ICR. */
import type { X2IcrFields } from '../../../abi/apic/icr.ts';
import type { Vm } from '../../../kvm/vm/vm.ts';
import { type Check, type Shortfall, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { x2apicInjection as injecting, x2apic as x2apicOffered } from '../../kit/needs.ts';
import { asPosted } from '../../kit/profiles.ts';
import { SOURCE, sameAsLocal, x2apic } from '../../kit/replay.ts';
import { sameRows } from '../../kit/rows.ts';
import {
  ABSENT,
  ERRORS,
  handled,
  PATCH,
  type Row,
  refused,
  runTaker,
  somethingCame,
  swallowed,
  VECTORS,
  x2,
} from './replay.ts';

const X2APIC = `${PATCH}: KVM_DSM_X2APIC`;

const x2to = (destinations: readonly number[], fields: Partial<X2IcrFields> = {}): bigint[] =>
  destinations.map((destination, at) => x2({ vector: 0x31 + at, destination, ...fields }));

const FAST: Shortfall = {
  profiles: asPosted,
  reason: 'KVM_DSM_X2APIC sends only what the map of LAPICs resolves at once: an IPI to everyone is lost',
  source: X2APIC,
  cause: /after the replay/,
};

const x2rows: Row<bigint>[] = [
  {
    word: 'physical',
    claim: 'A replayed x2APIC IPI to an APIC id arrives at the vCPUs at which a local one would',
    writes: x2to([0, 1, 2, 3, ABSENT]),
  },
  {
    word: 'logical',
    claim: 'A replayed x2APIC IPI to logical ids arrives at the vCPUs at which a local one would',
    writes: x2to([0b0001, 0b1010, 0b1111, 0x1_0001], { destinationMode: 'logical' }),
  },
  {
    word: 'self',
    claim: 'A replayed x2APIC IPI with the shorthand self arrives at the source',
    writes: x2to([0], { shorthand: 'self' }),
  },
  {
    word: 'nmi',
    claim: 'A replayed x2APIC NMI is pending at the vCPUs at which a local one would be',
    writes: x2to([0, 2], { deliveryMode: 'nmi', vector: 0 }),
  },
  {
    word: 'broadcast',
    claim: 'A replayed x2APIC IPI to 0xffffffff arrives at every vCPU, as a local one',
    writes: x2to([0xffff_ffff]),
    shortfall: FAST,
  },
  {
    word: 'others',
    claim: 'A replayed x2APIC IPI with the shorthand all but self arrives at every other vCPU, as a local one',
    writes: x2to([0], { shorthand: 'allExcludingSelf' }),
    shortfall: FAST,
  },
];

function rawX2apic(ctx: CheckContext, vm: Vm, vcpuId: number, data: bigint): string {
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_X2APIC;
  return ctx.answer('KVM_DSM_X2APIC', () => vm.ioctlRaw(request, argument.encode({ vcpuId, data })));
}

export const x2apicChecks: Check[] = [
  ...table(x2rows, ({ word, claim, writes, shortfall }) => ({
    id: `injection.x2apic.${word}`,
    claim,
    source: `${X2APIC}; SDM vol. 3 11.12.9`,
    needs: [injecting, x2apicOffered],
    ...(shortfall && { shortfall }),
    async run(ctx) {
      somethingCame(ctx, await sameAsLocal(ctx, x2apic, writes));
    },
  })),
  {
    id: 'injection.x2apic.handled',
    claim: "A guest's handlers run once for each of 64 replayed x2APIC IPIs",
    source: X2APIC,
    needs: [injecting, x2apicOffered],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 3, apic: 'x2apic' });
      for (const vector of VECTORS) machine.dsmX2apic({ vcpuId: SOURCE, data: x2({ vector, destination: 2 }) });
      runTaker(ctx, machine, 2);
      sameRows(
        'vectors and how often their handlers ran',
        handled(machine, 2),
        VECTORS.map((vector) => [vector, 1]),
      );
    },
  },
  {
    id: 'injection.x2apic.xapic-mode',
    claim: 'KVM_DSM_X2APIC for a vCPU in xAPIC mode is an error: its guest has no such register',
    source: `${ERRORS}; SDM vol. 3 11.12.1.2`,
    needs: [injecting],
    shortfall: swallowed('KVM_DSM_X2APIC for a vCPU in xAPIC mode answers 0, and the IPI goes astray', X2APIC),
    async run(ctx) {
      const { vm } = await ctx.machine({ vcpus: 3, apic: 'xapic' });
      refused(ctx, 'KVM_DSM_X2APIC', rawX2apic(ctx, vm, SOURCE, x2({ vector: 0x71, destination: 2 })));
    },
  },
  {
    id: 'injection.x2apic.reserved-bits',
    claim: 'KVM_DSM_X2APIC with reserved bits of the ICR set is an error: a WRMSR of them is one',
    source: `${ERRORS}; SDM vol. 3 11.12.9`,
    needs: [injecting, x2apicOffered],
    shortfall: swallowed('KVM_DSM_X2APIC with reserved bits set answers 0, and the IPI is lost', X2APIC),
    async run(ctx) {
      const { vm } = await ctx.machine({ vcpus: 3, apic: 'x2apic' });
      refused(ctx, 'KVM_DSM_X2APIC', rawX2apic(ctx, vm, SOURCE, x2({ vector: 0x71, destination: 2 }) | (1n << 13n)));
    },
  },
];
