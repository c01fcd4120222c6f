/** Whom a fixed IPI reaches, and how it is taken. */
import { mpStates } from '../../../abi/kvm/index.ts';
import { flat32, hlt, nop, out8, sti, write32 } from '../../../guest/bytes.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { at, DONE_PORT } from '../../kit/guests.ts';
import { reached, runSender, send, sendIcr } from '../../kit/senders.ts';
import { target } from './target.ts';

const DFR_CLUSTER = 0x0fff_ffff;

const everyone = [0, 1, 2, 3];

/** Gives each vCPU a logical id. */
const logicalIds =
  (ids: readonly number[], DFR = 0xffff_ffff) =>
  (machine: Machine): void =>
    ids.forEach((id, vcpu) => {
      machine.vcpu(vcpu).vcpu.setLapicRegisters({ DFR, LDR: (id << 24) >>> 0 });
    });

/** A fixed IPI, and which of four vCPUs it has to reach. */
interface Route {
  word: string;
  what: string;
  source: string;
  destination: number;
  icr: number;
  expected: readonly number[];
  prepare?: (machine: Machine) => void;
}

const routes: readonly Route[] = [
  {
    word: 'physical',
    what: 'A fixed IPI to an APIC id reaches that vCPU alone',
    source: 'SDM vol. 3 11.6.2.1',
    destination: 2,
    icr: 0x4045,
    expected: [2],
  },
  {
    word: 'to-itself',
    what: 'A fixed IPI to its own APIC id reaches the vCPU that sends',
    source: 'SDM vol. 3 11.6.2.1',
    destination: 0,
    icr: 0x4045,
    expected: [0],
  },
  {
    word: 'broadcast',
    what: 'A fixed IPI to destination 0xff reaches every vCPU, the one that sends as well',
    source: 'SDM vol. 3 11.6.2.1',
    destination: 0xff,
    icr: 0x4045,
    expected: everyone,
  },
  {
    word: 'absent',
    what: 'A fixed IPI to an APIC id that nobody has reaches no vCPU',
    source: 'SDM vol. 3 11.6.2.1',
    destination: 0x77,
    icr: 0x4045,
    expected: [],
  },
  {
    word: 'self',
    what: 'The shorthand self reaches the vCPU that sends, whatever ICR2 says',
    source: 'SDM vol. 3 11.6.1',
    destination: 2,
    icr: 0x4_4045,
    expected: [0],
  },
  {
    word: 'all',
    what: 'The shorthand all including self reaches every vCPU, whatever ICR2 says',
    source: 'SDM vol. 3 11.6.1',
    destination: 2,
    icr: 0x8_4045,
    expected: everyone,
  },
  {
    word: 'others',
    what: 'The shorthand all excluding self reaches every other vCPU, whatever ICR2 says',
    source: 'SDM vol. 3 11.6.1',
    destination: 0,
    icr: 0xc_4045,
    expected: [1, 2, 3],
  },
  {
    word: 'flat',
    what: 'A logical destination in the flat model reaches each vCPU that has one of its bits',
    source: 'SDM vol. 3 11.6.2.2',
    destination: 0b1010,
    icr: 0x4845,
    expected: [1, 3],
    prepare: logicalIds([1, 2, 4, 8]),
  },
  {
    word: 'cluster',
    what: 'A logical destination in the cluster model reaches its members of that cluster alone',
    source: 'SDM vol. 3 11.6.2.2',
    destination: 0x13,
    icr: 0x4845,
    expected: [1, 2],
    prepare: logicalIds([0x21, 0x11, 0x12, 0x14], DFR_CLUSTER),
  },
];

/** Runs vCPU 1 by itself, after the others: it takes what waits for it. */
function runTarget(ctx: CheckContext, machine: Machine): void {
  machine.vcpu(1).program(flat32(nop, nop, nop, out8(DONE_PORT)));
  // What comes out of its handlers is no claim of these checks.
  new Driver(ctx, machine, 1).untilDone();
}

export const fixedChecks: Check[] = [
  ...table(routes, ({ word, what, source, destination, icr, expected, prepare }) => ({
    id: `stock.fixed.${word}`,
    claim: what,
    source,
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, send(destination, icr), { vcpus: 4 }, prepare);
      ctx.equal('the vCPUs that the IPI reached', reached(machine, 0x45), [...expected]);
    },
  })),
  {
    id: 'stock.fixed.vectors',
    claim: 'A fixed IPI is requested by its vector, for each from 16 to 255',
    source: 'SDM vol. 3 11.6.1 and 11.8.4',
    async run(ctx) {
      const vectors = Array.from({ length: 240 }, (_, index) => index + 16);
      const ipis = vectors.flatMap((vector) => sendIcr(0x4000 | vector));
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      machine.vcpu(0).program(flat32(write32(at('ICR2'), 1 << 24), ...ipis, out8(DONE_PORT)));
      new Driver(ctx, machine).untilDone();
      ctx.equal('the vectors requested', machine.vcpu(1).vcpu.lapic().irr, vectors);
    },
  },
  {
    id: 'stock.fixed.handled',
    claim: 'A vCPU that is entered with an IPI waiting runs its handler once',
    source: 'SDM vol. 3 11.8.4',
    async run(ctx) {
      const machine = await target(ctx, 0x4045);
      runTarget(ctx, machine);
      ctx.equal('the interrupts handled', [...machine.vcpu(1).interrupts], [[0x45, 1]]);
    },
  },
  {
    id: 'stock.fixed.merged',
    claim: 'Three IPIs of one vector that wait together are one interrupt',
    source: 'SDM vol. 3 11.8.4',
    async run(ctx) {
      const machine = await target(ctx, 0x4045, 0x4045, 0x4045);
      runTarget(ctx, machine);
      ctx.equal('the interrupts handled', [...machine.vcpu(1).interrupts], [[0x45, 1]]);
    },
  },
  {
    id: 'stock.fixed.wakes',
    claim: 'A fixed IPI wakes a vCPU out of HLT, and its handler runs',
    source: 'SDM vol. 2, HLT',
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      machine.vcpu(1).program(flat32(sti, hlt, out8(DONE_PORT)), { interrupts: false });
      await machine.run({ until: 'halted' });
      ctx.equal("the target's mp_state", machine.vcpu(1).vcpu.getMpState(), mpStates.KVM_MP_STATE_HALTED);
      machine.vcpu(0).program(flat32(...send(1, 0x4045), out8(DONE_PORT)));
      new Driver(ctx, machine, 0).untilDone();
      new Driver(ctx, machine, 1).untilDone();
      ctx.equal('the vectors handled', [...machine.vcpu(1).interrupts.keys()], [0x45]);
    },
  },
  {
    id: 'stock.fixed.software-disabled',
    claim: 'A LAPIC that SVR disables takes no fixed IPI',
    source: 'SDM vol. 3 11.4.7.2',
    async run(ctx) {
      const machine = await runSender(ctx, send(1, 0x4045), {}, (made) =>
        made.vcpu(1).vcpu.setLapicRegisters({ SVR: 0xff }),
      );
      ctx.equal('the vCPUs that the IPI reached', reached(machine, 0x45), []);
    },
  },
  {
    id: 'stock.fixed.trigger',
    claim: 'A level-triggered IPI sets the TMR bit of its vector, an edge-triggered one does not',
    source: 'SDM vol. 3 11.8.4',
    async run(ctx) {
      const machine = await target(ctx, 0xc045, 0x4046);
      const { irr, tmr } = machine.vcpu(1).vcpu.lapic();
      ctx.equal('IRR and TMR', { irr, tmr }, { irr: [0x45, 0x46], tmr: [0x45] });
    },
  },
  {
    id: 'stock.lowest-priority',
    claim: 'A lowest-priority IPI to two vCPUs reaches exactly one of them',
    source: 'SDM vol. 3 11.6.2.4',
    async run(ctx) {
      const machine = await runSender(ctx, send(0b0110, 0x4945), { vcpus: 4 }, logicalIds([1, 2, 4, 8]));
      const got = reached(machine, 0x45);
      ctx.ok(got.length === 1 && [1, 2].includes(got[0]!), `it reached vCPU ${got.join(' and ') || 'none'}`);
    },
  },
];
