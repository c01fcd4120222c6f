/** Two VMs as the two nodes of one machine: each runs one vCPU, and gets the ICR writes of the other one. */
import { flat32, type Instruction, nop, out8 } from '../../../guest/bytes.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { forwardedExits } from '../../kit/forwarded-writes.ts';
import { DONE_PORT, icr, icr2, type LapicWrite, writeInstruction as write } from '../../kit/guests.ts';
import { forwarding, ipiInjection, parameterOff, parameterOn } from '../../kit/needs.ts';
import { everyProfile } from '../../kit/profiles.ts';
import { OTHER_PORT } from '../../kit/writers.ts';

/** How vCPUs are named by a logical destination: registers of vCPU n, and a destination that means both. */
const models: readonly { word: string; what: string; own(id: number): LapicWrite[]; both: number }[] = [
  {
    word: 'flat',
    what: 'the flat model',
    own: (id) => [
      { register: 'DFR', value: 0xffff_ffff },
      { register: 'LDR', value: 1 << (24 + id) },
    ],
    both: 0x0300_0000,
  },
  {
    word: 'cluster',
    what: 'the cluster model',
    own: (id) => [
      { register: 'DFR', value: 0x0fff_ffff },
      { register: 'LDR', value: (0x10 | (1 << id)) << 24 },
    ],
    both: 0x1300_0000,
  },
];

/** One for each of the two vCPUs, if the vector decides. */
const VECTORS = [0x50, 0x51];
const LOWEST_PRIORITY_LOGICAL = 0x4900;

/** Each node runs one vCPU's start-up, then vCPU 0 sends, and what it sends is replayed on the other node. */
async function takenBy(ctx: CheckContext, { own, both }: (typeof models)[number]): Promise<number[]> {
  const nodes = await Promise.all([ctx.machine({ vcpus: 2, apic: 'reset' }), ctx.machine({ vcpus: 2, apic: 'reset' })]);
  const sends = VECTORS.flatMap((vector) => [write(icr2(both)), write(icr(LOWEST_PRIORITY_LOGICAL + vector))]);
  const drivers = nodes.map((node, id) => start(ctx, node, id, [...own(id), SVR], id === 0 ? sends : []));
  const [sender, other] = drivers as [Driver, Driver];
  const writes = forwardedExits(sender.untilDone());
  for (const { val, val2 } of writes) nodes[1]!.dsmIpi({ vcpuId: 0, val, val2 });
  other.untilDone();
  return VECTORS.map((vector) => nodes.reduce((sum, node, id) => sum + (node.vcpu(id).interrupts.get(vector) ?? 0), 0));
}

const SVR: LapicWrite = { register: 'SVR', value: 0x1ff };

/** The vCPU of this node with its LAPIC set up by its own guest, and the rest of its program to come. */
function start(
  ctx: CheckContext,
  node: Machine,
  id: number,
  setup: readonly LapicWrite[],
  rest: readonly Instruction[],
): Driver {
  node.vcpu(id).program(flat32(...setup.map(write), out8(OTHER_PORT), ...rest, nop, nop, out8(DONE_PORT)));
  const driver = new Driver(ctx, node, id);
  driver.until(OTHER_PORT);
  return driver;
}

export const nodeChecks: Check[] = [
  ...table(models, (model) => ({
    id: `once.nodes.hashed.${model.word}`,
    claim: `An IPI of lowest priority to vCPUs of two nodes, by ${model.what}, is taken once where the vector decides by whom`,
    source: 'arch/x86/kvm/lapic.c: kvm_vector_to_index; SDM vol. 3 11.6.2.4',
    needs: [forwarding, ipiInjection, parameterOn('kvm.vector_hashing')],
    async run(ctx: CheckContext) {
      ctx.equal('how often each IPI was taken', await takenBy(ctx, model), [1, 1]);
    },
  })),
  ...table(models, (model) => ({
    id: `once.nodes.by-priority.${model.word}`,
    claim: `An IPI of lowest priority to vCPUs of two nodes, by ${model.what}, is taken once where the priorities decide by whom`,
    source: 'SDM vol. 3 11.6.2.4; arch/x86/kvm/lapic.c: kvm_apic_map_get_dest_lapic',
    needs: [forwarding, ipiInjection, parameterOff('kvm.vector_hashing')],
    shortfall: {
      profiles: everyProfile,
      reason: 'it is taken twice: KVM delivers before it forwards, and each node picks among the vCPUs that it knows',
      source: 'patch 2/3, arch/x86/kvm/lapic.c: apic_mmio_write, which delivers first',
      cause: /^how often each IPI was taken is \[ 2, 2 \]/,
    },
    async run(ctx: CheckContext) {
      ctx.equal('how often each IPI was taken', await takenBy(ctx, model), [1, 1]);
    },
  })),
];
