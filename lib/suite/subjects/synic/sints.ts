/** Which SINT delivers which vector. */
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { forwarding } from '../../kit/needs.ts';
import { range } from '../../kit/writers.ts';
import {
  API,
  allSints,
  countFaults,
  faultsOf,
  forwarded,
  goOn,
  HYPERV,
  LONG,
  linesOf,
  offered,
  pause,
  prepared,
  setSint,
  TLFS,
  vectorOf,
} from './guest.ts';

export const sintChecks: Check[] = [
  {
    id: 'synic.sint.delivers',
    claim: 'Each of the 16 SINTs of each vCPU delivers its vector, once, to that vCPU alone',
    source: `${TLFS}: SINTx; ${HYPERV}: synic_set_irq; ${API} 4.52: KVM_IRQ_ROUTING_HV_SINT`,
    deadline: LONG,
    needs: [offered],
    async run(ctx) {
      const code = [...allSints.flatMap((sint) => setSint(sint, { vector: vectorOf(sint) })), pause];
      const guest = await prepared(ctx, [code, code]);
      const { machine } = guest;
      for (const line of linesOf(ctx, machine, allSints)) {
        const before = machine.vcpus.map(({ vcpu }) => vcpu.lapic().irr);
        line.signal();
        const irr = before.map((was, id) => (id === line.synic.vpIndex ? [...was, vectorOf(line.sint)] : was));
        const name = `requested vectors behind SINT ${line.sint} of VP ${line.synic.vpIndex}`;
        ctx.equal(
          name,
          machine.vcpus.map(({ vcpu }) => vcpu.lapic().irr),
          irr,
        );
      }
      for (const { id } of machine.vcpus) {
        goOn(guest, id);
        const taken = [...machine.vcpu(id).interrupts];
        ctx.equal(
          `how often vCPU ${id} took each vector`,
          taken,
          allSints.map((sint) => [vectorOf(sint), 1]),
        );
      }
    },
  },
  {
    id: 'synic.sint.masked',
    claim: 'A masked SINT delivers nothing, and nothing of it comes when it is unmasked',
    source: `${TLFS}: SINTx; ${HYPERV}: synic_get_sint_vector`,
    needs: [offered],
    async run(ctx) {
      const code = [...setSint(4, { vector: 0x54, masked: true }), pause, ...setSint(4, { vector: 0x54 })];
      const guest = await prepared(ctx, [code]);
      const { machine } = guest;
      const [line] = linesOf(ctx, machine, [4]);
      line!.signal();
      goOn(guest);
      ctx.equal('the vectors that came', [...machine.vcpu(0).interrupts], []);
      ctx.equal('the vectors that are requested', machine.vcpu(0).vcpu.lapic().irr, []);
      line!.signal();
      ctx.equal('the vectors that are requested, unmasked', machine.vcpu(0).vcpu.lapic().irr, [0x54]);
    },
  },
  ...table(
    [
      ['refused', 'A SINT refuses the vectors 0 to 15 with a general protection fault', false, 256],
      ['masked', 'A masked SINT takes the vectors 0 to 15', true, 0],
    ] as const,
    ([word, claim, masked, faults]) => ({
      id: `synic.sint.vector.${word}`,
      claim,
      source: `${TLFS}: SINTx; ${HYPERV}: synic_set_sint`,
      needs: [offered],
      async run(ctx: CheckContext) {
        const code = allSints.flatMap((sint) => range(16).flatMap((vector) => setSint(sint, { vector, masked })));
        const guest = await prepared(ctx, [code], { program: countFaults });
        const { machine } = guest;
        ctx.equal('the number of #GP', faultsOf(machine), faults);
      },
    }),
  ),
  {
    id: 'synic.sint.changed',
    claim: 'A SINT delivers the vector that was written last',
    source: `${TLFS}: SINTx; ${HYPERV}: synic_set_sint`,
    needs: [offered],
    async run(ctx) {
      const code = [...setSint(9, { vector: 0x59 }), ...setSint(9, { vector: 0x69 }), pause];
      const guest = await prepared(ctx, [code]);
      const { machine } = guest;
      const [line] = linesOf(ctx, machine, [9]);
      line!.signal();
      goOn(guest);
      ctx.equal('the vectors that came', [...machine.vcpu(0).interrupts], [[0x69, 1]]);
    },
  },
  {
    id: 'synic.sint.not-forwarded',
    claim: 'An interrupt that the SynIC delivers is no ICR write: it is not forwarded',
    source: `patch 2/3, arch/x86/kvm/lapic.c: apic_mmio_write; ${HYPERV}: synic_set_irq`,
    needs: [offered, forwarding],
    async run(ctx) {
      const guest = await prepared(ctx, [[...setSint(1, { vector: 0x51 }), pause]], {
        program: () => ({ interrupts: false }),
      });
      const { machine } = guest;
      linesOf(ctx, machine, [1])[0]!.signal();
      const exits = goOn(guest);
      ctx.equal('the vectors that are requested', machine.vcpu(0).vcpu.lapic().irr, [0x51]);
      ctx.equal('the number of exits', forwarded(exits), 0);
    },
  },
];
