/** Where an IPI goes in this VM: as the SDM has it, forwarded or not, and once. */
import { encodeIcr, encodeIcr2, type Icr } from '../../../abi/apic/icr.ts';
import { flat32, out8 } from '../../../guest/bytes.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { DONE_PORT, icr, icr2, type LapicWrite, lapicWriter, writeInstruction as write } from '../../kit/guests.ts';
import { HERE_PORT, letTake, sendBy, take } from './turns.ts';

export const SDM = 'SDM vol. 3 11.6';
const VCPUS = 4;
const VECTOR = 0x51;
const NMI = 2;
const CLUSTER_FORMAT = 0x0fff_ffff;
const FLAT_FORMAT = 0xffff_ffff;

/** An IPI and who takes it. */
interface Delivery {
  word: string;
  /** Behind 'An IPI'. */
  claim: string;
  to?: number;
  fields?: Partial<Icr>;
  /** vcpu_ids that take it, each once. */
  takers: readonly number[];
  /** With logical ids: LDR bits 31:24 of each vCPU, and DFR. */
  logical?: { ids: readonly number[]; format: number };
  /** What counts at the takers. Default VECTOR. */
  counted?: number;
}

const flat = { ids: [1, 2, 4, 8], format: FLAT_FORMAT };

/** Cluster 1: vCPUs 0 and 1; cluster 2: vCPUs 2 and 3. */
const clusters = { ids: [0x11, 0x12, 0x21, 0x22], format: CLUSTER_FORMAT };
const logical = { destinationMode: 'logical' } as const;

const deliveries: readonly Delivery[] = [
  { word: 'physical', claim: 'to an APIC id is taken once by that vCPU alone', to: 2, takers: [2] },
  { word: 'physical-self', claim: 'to its own APIC id is taken once by the sender alone', to: 0, takers: [0] },
  { word: 'broadcast', claim: 'to APIC id 255 is taken once by every vCPU', to: 0xff, takers: [0, 1, 2, 3] },
  { word: 'absent', claim: 'to an APIC id that nobody has is taken by nobody', to: 0x77, takers: [] },
  {
    word: 'self',
    claim: 'with shorthand self is taken once by the sender alone',
    fields: { shorthand: 'self' },
    takers: [0],
  },
  {
    word: 'all',
    claim: 'with shorthand all including self is taken once by every vCPU',
    fields: { shorthand: 'allIncludingSelf' },
    takers: [0, 1, 2, 3],
  },
  {
    word: 'others',
    claim: 'with shorthand all excluding self is taken once by every other vCPU',
    fields: { shorthand: 'allExcludingSelf' },
    takers: [1, 2, 3],
  },
  {
    word: 'shorthand-over-destination',
    claim: 'with a shorthand goes by that, whatever ICR2 holds',
    to: 2,
    fields: { shorthand: 'self' },
    takers: [0],
  },
  {
    word: 'logical-flat',
    claim: 'to a set of flat logical ids is taken once by each vCPU of the set',
    to: 0b1010,
    fields: logical,
    takers: [1, 3],
    logical: flat,
  },
  {
    word: 'logical-flat-none',
    claim: 'to a flat logical id that nobody has is taken by nobody',
    to: 0b1_0000,
    fields: logical,
    takers: [],
    logical: flat,
  },
  {
    word: 'logical-cluster',
    claim: 'to a member of a logical cluster is taken once by that vCPU alone',
    to: 0x22,
    fields: logical,
    takers: [3],
    logical: clusters,
  },
  {
    word: 'logical-cluster-all',
    claim: 'to all members of a logical cluster is taken once by each of them',
    to: 0x13,
    fields: logical,
    takers: [0, 1],
    logical: clusters,
  },
  {
    word: 'level',
    claim: 'that is level-triggered is taken once',
    to: 1,
    fields: { trigger: 'level' },
    takers: [1],
  },
  {
    word: 'nmi',
    claim: 'of mode NMI is taken once as an NMI',
    to: 1,
    fields: { deliveryMode: 'nmi' },
    takers: [1],
    counted: NMI,
  },
  {
    word: 'nmi-others',
    claim: 'of mode NMI with a shorthand is taken once by every other vCPU',
    fields: { deliveryMode: 'nmi', shorthand: 'allExcludingSelf' },
    takers: [1, 2, 3],
    counted: NMI,
  },
  {
    word: 'reserved-mode',
    claim: 'of a reserved mode is taken by nobody',
    to: 1,
    fields: { deliveryMode: 'reserved3' },
    takers: [],
  },
];

async function machineOf(ctx: CheckContext, { logical: ids }: Pick<Delivery, 'logical'> = {}): Promise<Machine> {
  const machine = await ctx.machine({ vcpus: VCPUS, apic: 'xapic' });
  if (ids)
    for (const { id, vcpu } of machine.vcpus)
      vcpu.setLapicRegisters({ DFR: ids.format, LDR: (ids.ids[id] ?? 0) * 2 ** 24 });
  return machine;
}

const others = Array.from({ length: VCPUS - 1 }, (_, index) => index + 1);

/** Sends; each other vCPU takes what waits for it at each exit of the sender. Who took how many of what. */
function send(ctx: CheckContext, machine: Machine, writes: readonly LapicWrite[]): Record<string, number>[] {
  letTake(machine, others);
  sendBy(ctx, machine, lapicWriter(writes), () => {
    for (const id of others) take(ctx, machine, id);
  });
  take(ctx, machine, 0);
  return machine.vcpus.map(({ interrupts }) =>
    Object.fromEntries([...interrupts].map(([vector, count]) => [`0x${vector.toString(16)}`, count])),
  );
}

const writesOf = ({ to, fields }: Pick<Delivery, 'to' | 'fields'>): LapicWrite[] => [
  ...(to === undefined ? [] : [icr2(encodeIcr2({ destination: to }))]),
  icr(encodeIcr({ vector: VECTOR, ...fields })),
];

const rows: Check[] = deliveries.map((delivery) => ({
  id: `transparency.delivery.${delivery.word}`,
  claim: `An IPI ${delivery.claim}`,
  source: SDM,
  async run(ctx) {
    const taken = send(ctx, await machineOf(ctx, delivery), writesOf(delivery));
    const wanted = { [`0x${(delivery.counted ?? VECTOR).toString(16)}`]: 1 };
    ctx.equal(
      'the vectors that vCPUs 0 to 3 took',
      taken,
      taken.map((_, id) => (delivery.takers.includes(id) ? wanted : {})),
    );
  },
}));

/** An IPI that waits already is one with the next of its vector: so each round ends with an exit. */
const ROUNDS = 8;
const FIRST_VECTOR = 32;
const fixedVectors = Array.from({ length: 256 - FIRST_VECTOR }, (_, index) => index + FIRST_VECTOR);

export const deliveryChecks: readonly Check[] = [
  ...rows,
  {
    id: 'transparency.delivery.lowest-priority',
    claim: 'An IPI of mode lowest priority to a set is taken once, by one vCPU of the set',
    source: `${SDM}.2.4`,
    async run(ctx) {
      const machine = await machineOf(ctx, { logical: flat });
      const fields = { deliveryMode: 'lowestPriority', destinationMode: 'logical' } as const;
      const taken = send(ctx, machine, writesOf({ to: 0b1110, fields }));
      const takers = taken.flatMap((vectors, id) => (Object.keys(vectors).length > 0 ? [id] : []));
      ctx.equal('the number of vCPUs that took it', takers.length, 1);
      ctx.ok(takers[0] !== 0, 'vCPU 0 took it, which is not in the set');
      ctx.equal('what that vCPU took', taken[takers[0]!], { [`0x${VECTOR.toString(16)}`]: 1 });
    },
  },
  {
    id: 'transparency.delivery.vectors',
    claim: 'Each of the vectors 32 to 255 that one vCPU sends another is taken once',
    source: `${SDM}.1`,
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      letTake(machine, [1]);
      const to = icr2(encodeIcr2({ destination: 1 }));
      const code = lapicWriter([to, ...fixedVectors.map((vector) => icr(encodeIcr({ vector })))]);
      sendBy(ctx, machine, code, () => undefined);
      take(ctx, machine, 1);
      ctx.equal(
        'the vectors and how often they were taken',
        [...machine.vcpu(1).interrupts],
        fixedVectors.map((vector) => [vector, 1]),
      );
    },
  },
  {
    id: 'transparency.delivery.repeated',
    claim: 'IPIs with one vector, each sent when the one before was taken, are taken one by one',
    source: `${SDM}; SDM vol. 3 11.8.4`,
    async run(ctx) {
      const machine = await machineOf(ctx);
      const send = encodeIcr({ vector: VECTOR });
      letTake(machine, [1]);
      const rounds = Array.from({ length: ROUNDS }, () => [write(icr(send)), out8(HERE_PORT)]).flat();
      const code = flat32(write(icr2(encodeIcr2({ destination: 1 }))), ...rounds, out8(DONE_PORT));
      sendBy(ctx, machine, code, () => take(ctx, machine, 1));
      ctx.equal('the vectors that vCPU 1 took', [...machine.vcpu(1).interrupts], [[VECTOR, ROUNDS]]);
    },
  },
];
