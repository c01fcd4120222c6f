/** Checks that notice some of the faults that are drawn. */
import { flat32, out8, write32 } from 'kvm-dsm';
import { type CheckContext, DONE_PORT, type Subject } from 'kvm-dsm/suite';

const source = 'test/lab/scripts/random-checks.ts';
const ICR = 0xfee0_0300;

/** How many exits 45 there are of an ICR write by one of so many vCPUs. */
async function exitsOf(ctx: CheckContext, vcpus: number): Promise<number> {
  const m = await ctx.machine({ vcpus, apic: 'xapic' });
  m.vcpu(0).program(flat32(write32(ICR, 0x4_4071), out8(DONE_PORT)));
  const trace = await m.run({ until: { port: DONE_PORT } });
  return trace.events.filter((event) => 'exit' in event && event.exit.name === 'KVM_EXIT_DSM_SEND_IRQ').length;
}

export const subjects: Subject[] = [
  {
    name: 'random',
    title: 'what a drawn fault can meet',
    checks: [
      {
        id: 'random.one',
        claim: 'A write comes out once from the only vCPU',
        source,
        run: async (ctx) => ctx.equal('exits', await exitsOf(ctx, 1), 1),
      },
      {
        id: 'random.blind',
        claim: 'A write comes out or not from one of two vCPUs',
        source,
        run: async (ctx) => ctx.equal('whether there are exits', (await exitsOf(ctx, 2)) >= 0, true),
      },
    ],
  },
];
