/** That every vCPU forwards and is reached. */
import type { Check } from '../../check.ts';
import { Built } from '../../kit/built.ts';
import { forwardedExits } from '../../kit/forwarded-writes.ts';
import { lapicWriter } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { SLOT } from '../../kit/sources.ts';
import { ABSENT, ipi } from './ipi.ts';

export const vcpuChecks: Check[] = [
  {
    id: 'source.every-vcpu',
    claim: 'The writes of every vCPU come out, whatever its vcpu_id',
    source: `${SLOT}: nothing there depends on the vCPU`,
    needs: [forwarding],
    run(ctx) {
      const built = new Built(ctx, { ids: [5, 0, 64, 1, 253], irqchip: 'split' });
      const silent = built.vcpus.filter((vcpu) => {
        built.program(vcpu, lapicWriter([...ipi(ABSENT), ...ipi(ABSENT)]));
        return forwardedExits(built.finish(vcpu)).length === 0;
      });
      ctx.equal(
        'the vcpu_ids of which nothing came out',
        silent.map(({ vcpuId }) => vcpuId),
        [],
      );
    },
  },
  {
    id: 'source.delivery.sparse',
    claim: 'An IPI reaches the vCPU whose vcpu_id is the destination, and no other, where the ids have gaps',
    source: 'Documentation/virt/kvm/api.rst 4.7; SDM vol. 3 11.6.2.1',
    run(ctx) {
      const ids = [200, 3, 0, 77, 1];
      const built = new Built(ctx, { ids });
      const [writer, ...targets] = built.vcpus;
      const vectorOf = (id: number) => 0x40 + (id % 0x80);
      built.program(writer!, lapicWriter(targets.flatMap(({ vcpuId }) => ipi(vcpuId, vectorOf(vcpuId)))));
      built.finish(writer!);
      const requested = () => targets.map((vcpu) => ({ vcpuId: vcpu.vcpuId, vectors: vcpu.lapic().irr }));
      ctx.equal(
        'the vectors that wait by vcpu_id',
        requested(),
        targets.map(({ vcpuId }) => ({ vcpuId, vectors: [vectorOf(vcpuId)] })),
      );
    },
  },
];
