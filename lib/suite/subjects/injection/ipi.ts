/** KVM_DSM_IPI: writes of ICR2 and ICR. */
import { encodeIcr, encodeIcr2, type IcrFields } from '../../../abi/apic/icr.ts';
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { type Check, table } from '../../check.ts';
import { Driver } from '../../kit/drive.ts';
import { forwardedWrites } from '../../kit/forwarded-writes.ts';
import { icr, icr2, type LapicWrite } from '../../kit/guests.ts';
import { ipiInjection as injecting, splitIrqchip } from '../../kit/needs.ts';
import { SOURCE, sameAsLocal, xapic } from '../../kit/replay.ts';
import { sameRows } from '../../kit/rows.ts';
import { ABSENT, handled, IPI, pendingOf, type Row, runTaker, somethingCame, taker, VECTORS } from './replay.ts';

/** ICR2 and ICR of one IPI. */
const send = (destination: number, fields: IcrFields): LapicWrite[] => [
  icr2(encodeIcr2({ destination })),
  icr(encodeIcr(fields)),
];

const to = (destinations: readonly number[], fields: Omit<IcrFields, 'vector'> = {}): LapicWrite[] =>
  destinations.flatMap((destination, at) => send(destination, { vector: 0x31 + at, ...fields }));

function logicalIds(machine: Machine, dfr: number, ids: readonly number[]): void {
  machine.vcpus.forEach(({ vcpu }, at) => {
    vcpu.setLapicRegisters({ DFR: dfr, LDR: (ids[at]! << 24) >>> 0 });
  });
}

const rows: Row<LapicWrite>[] = [
  {
    word: 'physical',
    claim: 'A replayed IPI to an APIC id arrives at the vCPUs at which a local one would',
    writes: to([0, 1, 2, 3, ABSENT]),
  },
  {
    word: 'broadcast',
    claim: 'A replayed IPI to 0xff arrives at the vCPUs at which a local one would',
    writes: to([0xff]),
  },
  {
    word: 'logical-flat',
    claim: 'A replayed IPI to logical ids of the flat model arrives at the vCPUs at which a local one would',
    writes: to([0b0001, 0b1010, 0b0110, 0xff, 0x80], { destinationMode: 'logical' }),
    setup: (machine) => logicalIds(machine, 0xffff_ffff, [1, 2, 4, 8]),
  },
  {
    word: 'logical-cluster',
    claim: 'A replayed IPI to logical ids of the cluster model arrives at the vCPUs at which a local one would',
    writes: to([0x11, 0x13, 0x21, 0x23, 0x31], { destinationMode: 'logical' }),
    setup: (machine) => logicalIds(machine, 0x0fff_ffff, [0x11, 0x12, 0x21, 0x22]),
  },
  {
    word: 'shorthands',
    claim: 'A replayed IPI with a shorthand arrives at the vCPUs at which a local one would, seen from the source',
    writes: (['self', 'allIncludingSelf', 'allExcludingSelf'] as const).map((shorthand, at) =>
      icr(encodeIcr({ vector: 0x41 + at, shorthand })),
    ),
  },
  {
    word: 'lowest-priority',
    claim: 'A replayed IPI of lowest priority arrives at the vCPU at which a local one would',
    writes: [
      ...to([2], { deliveryMode: 'lowestPriority' }),
      ...send(0b1101, { vector: 0x61, deliveryMode: 'lowestPriority', destinationMode: 'logical' }),
    ],
    setup: (machine) => logicalIds(machine, 0xffff_ffff, [1, 2, 4, 8]),
  },
  {
    word: 'level',
    claim: 'A replayed IPI that is level-triggered sets TMR where a local one would',
    writes: to([2, 3], { trigger: 'level' }),
  },
  {
    word: 'nmi',
    claim: 'A replayed NMI is pending at the vCPUs at which a local one would be',
    writes: [...send(2, { vector: 0, deliveryMode: 'nmi' }), ...send(0, { vector: 0, deliveryMode: 'nmi' })],
  },
  {
    word: 'smi',
    claim: 'A replayed SMI is pending at the vCPU at which a local one would be',
    writes: send(3, { vector: 0, deliveryMode: 'smi' }),
  },
  {
    word: 'init-sipi',
    claim: 'A replayed INIT and a replayed SIPI leave the vCPU in the state in which local ones would',
    writes: [
      ...send(2, { vector: 0, deliveryMode: 'init' }),
      ...send(2, { vector: 0x12, deliveryMode: 'startUp' }),
      ...send(3, { vector: 0, deliveryMode: 'init' }),
    ],
  },
  {
    word: 'reserved-modes',
    claim: 'A replayed IPI of a reserved delivery mode arrives nowhere, as a local one',
    writes: [...to([0, 2], { deliveryMode: 'reserved3' }), ...to([0, 3], { deliveryMode: 'reserved7' })],
    vain: true,
  },
];

export const ipiChecks: Check[] = [
  ...table(rows, ({ word, claim, writes, setup, vain }) => ({
    id: `injection.ipi.${word}`,
    claim,
    source: `${IPI}; SDM vol. 3 11.6.1`,
    needs: [injecting],
    async run(ctx) {
      const arrived = await sameAsLocal(ctx, xapic, writes, setup);
      if (!vain) somethingCame(ctx, arrived);
    },
  })),
  {
    id: 'injection.ipi.split-irqchip',
    claim: 'A replayed IPI arrives in a VM with a split irqchip as a local one would',
    source: `${IPI}; Documentation/virt/kvm/api.rst: KVM_CAP_SPLIT_IRQCHIP`,
    needs: [injecting, splitIrqchip],
    async run(ctx) {
      const writes = [...to([0, 2, 3]), icr(encodeIcr({ vector: 0x51, shorthand: 'allExcludingSelf' }))];
      somethingCame(ctx, await sameAsLocal(ctx, xapic, writes, undefined, { irqchip: 'split' }));
    },
  },
  {
    id: 'injection.ipi.handled',
    claim: "A guest's handlers run once for each of 64 replayed IPIs",
    source: IPI,
    needs: [injecting],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      machine.dsmIpi({ vcpuId: SOURCE, val: lapicRegisters.ICR2, val2: encodeIcr2({ destination: 0 }) });
      for (const vector of VECTORS)
        machine.dsmIpi({ vcpuId: SOURCE, val: lapicRegisters.ICR, val2: encodeIcr({ vector }) });
      runTaker(ctx, machine, 0);
      sameRows(
        'vectors and how often their handlers ran',
        handled(machine, 0),
        VECTORS.map((vector) => [vector, 1]),
      );
    },
  },
  {
    id: 'injection.ipi.own-icr2',
    claim: 'A replayed ICR write goes to the destination in the ICR2 of its own vCPU, whatever others have in theirs',
    source: IPI,
    needs: [injecting],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 4, apic: 'xapic' });
      const ids = [0, 1, 2, 3];
      const destinationOf = (id: number) => (id + 1) % ids.length;
      for (const vcpuId of ids)
        machine.dsmIpi({ vcpuId, val: lapicRegisters.ICR2, val2: encodeIcr2({ destination: destinationOf(vcpuId) }) });
      for (const vcpuId of ids)
        machine.dsmIpi({ vcpuId, val: lapicRegisters.ICR, val2: encodeIcr({ vector: 0x71 + vcpuId }) });
      ctx.effect('replayed writes', 2 * ids.length);
      sameRows(
        'the vCPUs at which each IPI is pending',
        ids.map((id) => pendingOf(machine, 0x71 + id)),
        ids.map((id) => [destinationOf(id)]),
      );
    },
  },
  {
    id: 'injection.ipi.dest-id',
    claim: "The argument's dest_id changes nothing: ICR2 says where the IPI goes",
    source: `${IPI}; the field is not read`,
    needs: [injecting],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 4, apic: 'xapic' });
      const write = { vcpuId: SOURCE, destId: 3 };
      machine.dsmIpi({ ...write, val: lapicRegisters.ICR2, val2: encodeIcr2({ destination: 2 }) });
      machine.dsmIpi({ ...write, val: lapicRegisters.ICR, val2: encodeIcr({ vector: 0x71 }) });
      ctx.effect('replayed writes', 2);
      ctx.equal('the vCPUs at which it is pending', pendingOf(machine, 0x71), [2]);
    },
  },
  {
    id: 'injection.ipi.no-notice',
    claim: 'A replay makes no KVM_EXIT_DSM_SEND_IRQ: it does not come back to those who sent it',
    source: `${IPI}; it calls kvm_lapic_reg_write, which makes no request`,
    needs: [injecting],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      for (const { register, value } of to([0]))
        machine.dsmIpi({ vcpuId: SOURCE, val: lapicRegisters[register], val2: value });
      for (const id of [SOURCE, 0]) {
        machine.vcpu(id).program(taker);
        sameRows(`writes that vCPU ${id} tells of`, forwardedWrites(new Driver(ctx, machine, id).untilDone()), []);
      }
    },
  },
];
