/** What id is, whatever the ids of the vCPUs are. */
import type { Check } from '../../check.ts';
import { Built, type BuiltOptions } from '../../kit/built.ts';
import type { CheckContext } from '../../kit/context.ts';
import { forwardedExits } from '../../kit/forwarded-writes.ts';
import { icr, icr2, lapicWriter } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { SLOT } from '../../kit/sources.ts';
import { ABSENT, ipi } from './ipi.ts';

/**
 * Every vCPU sends an IPI, one after the other. The ids that came are compared, and one has to come: which of the
 * writes come out is the claim of others.
 */
function expectOwnIds(ctx: CheckContext, options: BuiltOptions, writes = ipi(ABSENT)): void {
  const built = new Built(ctx, { irqchip: 'split', ...options });
  const seen = built.vcpus.map((vcpu) => {
    built.program(vcpu, lapicWriter(writes));
    return { vcpuId: vcpu.vcpuId, ids: [...new Set(forwardedExits(built.finish(vcpu)).map(({ id }) => id))] };
  });
  ctx.ok(
    seen.some(({ ids }) => ids.length > 0),
    'no write came out of any vCPU',
  );
  ctx.equal(
    'the ids by vcpu_id',
    seen,
    seen.map(({ vcpuId, ids }) => ({ vcpuId, ids: ids.length > 0 ? [vcpuId] : [] })),
  );
}

export const idChecks: Check[] = [
  {
    id: 'source.id.icr2',
    claim: 'id is the vcpu_id of the vCPU that wrote, for writes of ICR2',
    source: SLOT,
    needs: [forwarding],
    run: (ctx) => expectOwnIds(ctx, { ids: [3, 0] }, [icr2(ABSENT * 2 ** 24), icr2(0)]),
  },
  {
    id: 'source.id.icr',
    claim: 'id is the vcpu_id of the vCPU that wrote, for writes of ICR',
    source: SLOT,
    needs: [forwarding],
    // ICR2 is 0 as after reset: the logical destination 0 is nobody's.
    run: (ctx) => expectOwnIds(ctx, { ids: [3, 0] }, [icr(0x48f0), icr(0x48f1)]),
  },
  {
    id: 'source.id.not-the-index',
    claim: 'id is the vcpu_id where that is not the order in which the vCPUs were made',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.7`,
    needs: [forwarding],
    run: (ctx) => expectOwnIds(ctx, { ids: [3, 2, 1, 0] }),
  },
  {
    id: 'source.id.sparse',
    claim: 'id is the vcpu_id where there are gaps between them',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.7`,
    needs: [forwarding],
    run: (ctx) => expectOwnIds(ctx, { ids: [0, 5, 17, 64, 128, 253] }),
  },
  {
    id: 'source.id.wide',
    claim: 'id is the whole vcpu_id where that does not fit into 8 bits',
    source: `${SLOT}: id has 32 bits`,
    needs: [forwarding],
    run(ctx) {
      const most = ctx.kvm().checkExtension('KVM_CAP_MAX_VCPU_ID');
      const ids = [0, 0x100, 0x105, 0x1ff, 0x3ff, most - 1].filter((id) => id < most);
      if (ids.length < 3) ctx.skip(`vcpu_ids end at ${most - 1} here`);
      expectOwnIds(ctx, { ids: [...new Set(ids)] });
    },
  },
  {
    id: 'source.id.same-low-byte',
    claim: 'vCPUs whose vcpu_ids agree in their low 8 bits have different ids',
    source: `${SLOT}: id has 32 bits`,
    needs: [forwarding],
    run(ctx) {
      if (ctx.kvm().checkExtension('KVM_CAP_MAX_VCPU_ID') <= 0x205) ctx.skip('vcpu_ids end before 0x205 here');
      expectOwnIds(ctx, { ids: [0, 0x105, 5, 0x205] });
    },
  },
  {
    id: 'source.id.not-the-apic-id',
    claim: 'id is the vcpu_id where the guest has given the local APIC another id',
    source: `${SLOT}; SDM vol. 3 11.4.6`,
    needs: [forwarding],
    run: (ctx) =>
      expectOwnIds(ctx, { ids: [0, 4] }, [{ register: 'ID', value: 0x33 * 2 ** 24 }, ...ipi(ABSENT), ...ipi(ABSENT)]),
  },
  {
    id: 'source.id.not-the-destination',
    claim: 'id is of the vCPU that wrote where the destination is another one of the VM',
    source: SLOT,
    needs: [forwarding],
    run(ctx) {
      const built = new Built(ctx, { ids: [0, 1], irqchip: 'split' });
      const [writer] = built.vcpus;
      built.program(writer!, lapicWriter([...ipi(1), ...ipi(1, 0xf1)]));
      const ids = forwardedExits(built.finish(writer!)).map(({ id }) => id);
      ctx.ok(ids.length > 0, 'no write came out');
      ctx.equal('the ids', new Set(ids), new Set([0]));
    },
  },
  {
    id: 'source.id.boot-cpu',
    claim: 'id is the vcpu_id where another vCPU than 0 boots the VM',
    source: `${SLOT}; Documentation/virt/kvm/api.rst 4.41`,
    needs: [forwarding],
    run: (ctx) => expectOwnIds(ctx, { ids: [0, 6, 2], bootCpuId: 6 }),
  },
  {
    id: 'source.id.in-turns',
    claim: 'Each exit has the id of the vCPU that made it where several take turns, exit by exit',
    source: SLOT,
    needs: [forwarding],
    run(ctx) {
      const built = new Built(ctx, { ids: [9, 0, 4], irqchip: 'split' });
      for (const vcpu of built.vcpus) built.program(vcpu, lapicWriter([...ipi(ABSENT), ...ipi(ABSENT)]));
      const open = new Set(built.vcpus);
      const seen: { vcpuId: number; id: number }[] = [];
      for (let turn = 0; turn < 64 && open.size > 0; turn++)
        for (const vcpu of open) {
          const exit = built.next(vcpu);
          if (exit.name === 'KVM_EXIT_IO') open.delete(vcpu);
          if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ') seen.push({ vcpuId: vcpu.vcpuId, id: exit.id });
        }
      ctx.equal('the number of vCPUs that did not come to their end', open.size, 0);
      ctx.effect('vCPUs that came to their end', built.vcpus.length);
      ctx.ok(seen.length > 0, 'no write came out');
      ctx.equal(
        'the ids in the order of the exits',
        seen,
        seen.map(({ vcpuId }) => ({ vcpuId, id: vcpuId })),
      );
    },
  },
];
