/** That no interrupt is lost by them. */
import { encodeIcr } from '../../../abi/apic/icr.ts';
import { flat32, nop, out8 } from '../../../guest/bytes.ts';
import type { Vm } from '../../../kvm/vm/vm.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import type { ForwardedWrite } from '../../kit/forwarded-writes.ts';
import { DONE_PORT, writeInstruction } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { sameRows } from '../../kit/rows.ts';
import { send } from '../../kit/senders.ts';
import { byTurns, OTHER_PORT, primedMachine, range, writesIn } from '../../kit/writers.ts';
import { callAll, LINE_VECTOR, TARGET, toTarget, twoVcpus, VECTORS } from './calls.ts';

const DISABLE = 'RFC PATCH 01/13 of the vLPI series, KVM_DISABLE_VCPU_VLPI, and the answer to it';

const LINE = 5;

/** What may wait for a vCPU, and how it is told. */
const waiting: readonly [name: string, what: string, make: (machine: Machine) => void][] = [
  ['irr', 'An interrupt in the IRR', (machine) => machine.signalMsi({ addressLo: toTarget, data: VECTORS[1]! })],
  [
    'many',
    'Each of several interrupts in the IRR',
    (machine) => {
      for (const data of VECTORS) machine.signalMsi({ addressLo: toTarget, data });
    },
  ],
  ['nmi', 'An NMI', (machine) => machine.vcpu(TARGET).nmi()],
  [
    'line',
    'An interrupt of a level-triggered line, whose IOAPIC waits for its EOI,',
    (machine) => {
      const { redirtbl } = machine.vm.getIrqchip('ioapic');
      // Level-triggered, active high, unmasked, physical.
      redirtbl[LINE] = (BigInt(TARGET) << 56n) | (1n << 15n) | BigInt(LINE_VECTOR);
      machine.vm.setIrqchip('ioapic', { redirtbl });
      machine.irqLine(LINE, true);
    },
  ],
];

/** What waits for vCPU 1. */
function pending(machine: Machine) {
  const { vcpu } = machine.vcpu(TARGET);
  const { irr, isr } = vcpu.lapic();
  return { irr, isr, nmi: vcpu.getVcpuEvents().nmi.pending, line: machine.vm.getIrqchip('ioapic').redirtbl[LINE] };
}

const kept: Check[] = table(waiting, ([name, what, make]) => ({
  id: `vlpi.pending.${name}`,
  claim: `${what} is still pending after the calls`,
  source: DISABLE,
  async run(ctx: CheckContext) {
    const machine = await twoVcpus(ctx);
    const idle = pending(machine);
    make(machine);
    const before = pending(machine);
    ctx.ok(before.irr.length + before.nmi > idle.irr.length + idle.nmi, 'nothing was pending before');
    callAll(ctx, machine.vm);
    ctx.equal("what is pending (IRR, ISR, NMI, the line's entry in the IOAPIC)", pending(machine), before);
  },
}));

type Calls = (ctx: CheckContext, vm: Vm, vcpuId: number) => void;

/** What is in the IRR of vCPU 1 when vCPU 0 has sent it 16 IPIs; the calls are made after each. */
async function ipisArrived(ctx: CheckContext, calls: Calls): Promise<number[]> {
  const machine = await twoVcpus(ctx);
  const vectors = range(16).map((n) => 0x31 + n * 0xb);
  const code = vectors.flatMap((vector) => [...send(TARGET, encodeIcr({ vector })), out8(OTHER_PORT)]);
  machine.vcpu(0).program(flat32(...code, out8(DONE_PORT)));
  const exits = new Driver(ctx, machine).untilDone(() => calls(ctx, machine.vm, TARGET));
  ctx.ok(exits.length >= vectors.length, `only ${exits.length} exits`);
  return machine.vcpu(TARGET).vcpu.lapic().irr;
}

/** What comes out of a guest's writes; the calls are made at each exit. */
async function writesToldOf(ctx: CheckContext, calls: Calls): Promise<ForwardedWrite[]> {
  const { machine, drivers } = await primedMachine(ctx, [byTurns(12).map(writeInstruction)]);
  return writesIn(drivers[0]!.untilDone(() => calls(ctx, machine.vm, 0)));
}

export const pendingChecks: Check[] = [
  ...kept,
  {
    id: 'vlpi.pending.taken',
    claim: "A vCPU's guest takes each interrupt that was pending before the calls, once",
    source: DISABLE,
    async run(ctx) {
      const machine = await twoVcpus(ctx);
      for (const data of VECTORS) machine.signalMsi({ addressLo: toTarget, data });
      callAll(ctx, machine.vm);
      // At each exit an emulated CPU looks for interrupts again.
      const turns = VECTORS.flatMap(() => [nop, out8(OTHER_PORT)]);
      machine.vcpu(TARGET).program(flat32(...turns, nop, out8(DONE_PORT)));
      new Driver(ctx, machine, TARGET).untilDone();
      ctx.equal(
        'how often each handler ran',
        [...machine.vcpu(TARGET).interrupts].sort(([a], [b]) => a - b),
        VECTORS.map((vector) => [vector, 1]),
      );
    },
  },
  {
    id: 'vlpi.pending.between',
    claim: 'The IPIs that one vCPU sends to another arrive the same with the calls between them and without',
    source: DISABLE,
    async run(ctx) {
      const [without, between] = [await ipisArrived(ctx, () => {}), await ipisArrived(ctx, callAll)];
      ctx.equal('the vectors in the IRR', between, without);
    },
  },
  {
    id: 'vlpi.pending.forwarded',
    claim: "A guest's ICR writes come out the same with the calls at each exit and without",
    source: `${DISABLE}; patch 2/3`,
    needs: [forwarding],
    async run(ctx) {
      const [without, between] = [await writesToldOf(ctx, () => {}), await writesToldOf(ctx, callAll)];
      sameRows('the writes that came out', between, without);
    },
  },
];
