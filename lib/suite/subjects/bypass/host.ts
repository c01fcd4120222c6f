/** IPIs that user space sends. */
import { flat32, out8 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import { DONE_PORT, runUntilDone } from '../../kit/guests.ts';
import { forwarding, ipiInjection } from '../../kit/needs.ts';
import { arrived, runSender } from '../../kit/senders.ts';
import { HOOK } from '../../kit/sources.ts';
import { forwarded, VECTOR } from './guest.ts';

export const hostChecks: Check[] = [
  {
    id: 'bypass.host.msi',
    claim: 'A message-signalled interrupt of user space is no write of the guest: it is not forwarded',
    source: `${HOOK}; Documentation/virt/kvm/api.rst 4.70`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await runSender(ctx, [], {}, (made) => {
        made.signalMsi({ addressLo: 0xfee0_1000, addressHi: 0, data: VECTOR });
      });
      ctx.equal('the vectors that arrived', arrived(machine, 1), [VECTOR]);
      ctx.equal('the number of exits', forwarded(machine), 0);
    },
  },
  {
    id: 'bypass.host.set-lapic',
    claim: 'KVM_SET_LAPIC with another ICR and ICR2 is no write of the guest: it sends and forwards nothing',
    source: `${HOOK}; Documentation/virt/kvm/api.rst 4.58`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await runSender(ctx, [], {}, (made) =>
        made.vcpu(0).vcpu.setLapicRegisters({ ICR2: 1 << 24, ICR: 0x4045 }),
      );
      ctx.equal('the vectors that arrived', arrived(machine, 1), []);
      ctx.equal('the number of exits', forwarded(machine), 0);
    },
  },
  {
    id: 'bypass.host.replay',
    claim: 'A register write that KVM_DSM_IPI replays is not forwarded again',
    source: 'patch 3/3; its receiver would send it back for ever',
    needs: [forwarding, ipiInjection],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      const { request, argument } = ctx.profile.ioctls.KVM_DSM_IPI;
      for (const [val, val2] of [
        [0x310, 1 << 24],
        [0x300, 0x4045],
      ] as const)
        machine.vm.ioctlRaw(request, argument.encode({ vcpuId: 0, val, val2, destId: 1 }));
      machine.vcpu(0).program(flat32(out8(DONE_PORT)));
      await runUntilDone(machine);
      ctx.equal('the vectors that arrived', arrived(machine, 1), [VECTOR]);
      ctx.equal('the number of exits', forwarded(machine), 0);
    },
  },
];
