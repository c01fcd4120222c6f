/** What a guest's IPIs do on any kernel: forwarding takes nothing of it away. */
import { X2APIC_ICR, X2APIC_SELF_IPI } from '../../abi/apic/msr.ts';
import { mpStates } from '../../abi/kvm/index.ts';
import {
  flat32,
  hlt,
  type Instruction,
  mov32,
  nop,
  out8,
  out8Value,
  rdmsr,
  sti,
  store32,
  write32,
} from '../../guest/bytes.ts';
import type { Machine } from '../../script/machine/machine.ts';
import { type Check, subject, table } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { Driver } from '../kit/drive.ts';
import { at, DONE_PORT, runUntilDone } from '../kit/guests.ts';
import { capability, fullIrqchip, hardwareVirtualization, splitIrqchip, stockKernel, x2apic } from '../kit/needs.ts';
import { arrived, keep, reached, runSender, send, sendIcr, words, writeMsr } from '../kit/senders.ts';

const KVM = 'arch/x86/kvm/lapic.c';
const DFR_CLUSTER = 0x0fff_ffff;

const everyone = [0, 1, 2, 3];

const iretd: Instruction = Uint8Array.of(0xcf);

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

/** What an IPI of two vCPUs leaves behind on the second one, which does not run. */
async function target(ctx: CheckContext, ...ipis: readonly number[]): Promise<Machine> {
  return await runSender(
    ctx,
    ipis.flatMap((icr) => send(1, icr)),
  );
}

/** Runs vCPU 1 for itself, behind the others: it takes what waits for it. */
function runTarget(ctx: CheckContext, machine: Machine): void {
  machine.vcpu(1).program(flat32(nop, nop, nop, out8(DONE_PORT)));
  // What comes out of its handlers is no claim of these checks.
  new Driver(ctx, machine, 1).untilDone();
}

/** An exit at which a vCPU is entered again: where KVM emulates guests, it takes interrupts there and in HLT alone. */
const NEXT_PORT = 0x12;

/** A vCPU sends with interrupts disabled, and takes what it can at the end: whatever way KVM runs it. */
async function takes(ctx: CheckContext, instructions: readonly Instruction[]): Promise<Machine> {
  const machine = await ctx.machine({ apic: 'xapic' });
  machine.vcpu(0).program(flat32(...instructions, sti, hlt, out8(NEXT_PORT), out8(DONE_PORT)), { interrupts: false });
  await runUntilDone(machine);
  return machine;
}

const fixed: Check[] = [
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

const others: Check[] = [
  {
    id: 'stock.nmi.pending',
    claim: 'An NMI by IPI is pending on its target, and nothing is requested there',
    source: 'SDM vol. 3 11.6.1',
    async run(ctx) {
      const { vcpu } = (await target(ctx, 0x4445)).vcpu(1);
      const { pending, injected } = vcpu.getVcpuEvents().nmi;
      ctx.equal('NMI and IRR', { nmi: pending + injected, irr: vcpu.lapic().irr }, { nmi: 1, irr: [] });
    },
  },
  {
    id: 'stock.nmi.handled',
    claim: 'A vCPU that is entered with an NMI waiting takes it by vector 2, with interrupts disabled as well',
    source: 'SDM vol. 3 7.7.1',
    async run(ctx) {
      const machine = await target(ctx, 0x4400);
      const ap = machine.vcpu(1).program(flat32(nop, nop, nop, out8(DONE_PORT)), { interrupts: false });
      ctx.equal("the target's exit", ap.vcpu.run({ deadline: '8s' }).name, 'KVM_EXIT_IO');
      ctx.equal('the interrupts handled', [...ap.interrupts], [[2, 1]]);
    },
  },
  {
    id: 'stock.smi.pending',
    claim: 'An SMI by IPI is pending on its target',
    source: 'SDM vol. 3 11.6.1',
    needs: [capability('KVM_CAP_X86_SMM')],
    async run(ctx) {
      const machine = await target(ctx, 0x4200);
      ctx.equal('smi.pending', machine.vcpu(1).vcpu.getVcpuEvents().smi.pending, 1);
    },
  },
  {
    id: 'stock.init.waits',
    claim: 'An AP waits for SIPI after an INIT',
    source: 'SDM vol. 3 9.4.4; Documentation/virt/kvm/api.rst 4.38',
    async run(ctx) {
      const machine = await target(ctx, 0x4500);
      ctx.equal("the AP's mp_state", machine.vcpu(1).vcpu.getMpState(), mpStates.KVM_MP_STATE_INIT_RECEIVED);
    },
  },
  {
    id: 'stock.init.deassert',
    claim: 'An INIT level de-assert changes nothing at its target',
    source: `SDM vol. 3 11.6.1; ${KVM}: __apic_accept_irq`,
    async run(ctx) {
      const machine = await target(ctx, 0x8500);
      ctx.equal("the AP's mp_state", machine.vcpu(1).vcpu.getMpState(), mpStates.KVM_MP_STATE_UNINITIALIZED);
    },
  },
  {
    id: 'stock.sipi.entry',
    claim: 'SIPI behind INIT makes an AP runnable at the page that its vector names',
    source: 'SDM vol. 3 9.4.4',
    async run(ctx) {
      const { vcpu } = (await target(ctx, 0x4500, 0x4612)).vcpu(1);
      const mpState = vcpu.getMpState();
      const { base, selector } = vcpu.getSregs().cs;
      const { rip } = vcpu.getRegs();
      ctx.equal(
        'where the AP starts',
        { mpState, base, selector, rip },
        { mpState: mpStates.KVM_MP_STATE_RUNNABLE, base: 0x12000n, selector: 0x1200, rip: 0n },
      );
    },
  },
  {
    id: 'stock.sipi.without-init',
    claim: 'A SIPI to a vCPU that does not wait for one changes nothing there',
    source: 'SDM vol. 3 9.4.4',
    async run(ctx) {
      const machine = await runSender(ctx, send(1, 0x4612), {}, (made) =>
        made.vcpu(1).vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE),
      );
      const { vcpu } = machine.vcpu(1);
      const mpState = vcpu.getMpState();
      ctx.equal(
        'where it is',
        { mpState, rip: vcpu.getRegs().rip },
        { mpState: mpStates.KVM_MP_STATE_RUNNABLE, rip: 0xfff0n },
      );
    },
  },
  {
    id: 'stock.sipi.runs',
    claim: 'INIT, SIPI, SIPI start an AP, and its code runs',
    source: 'SDM vol. 3 9.4.4',
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2 });
      // For real mode: another one's way out of real mode is assembled first, which takes an emulated CPU seconds.
      const ap = machine.vcpu(1).program({ mode: 'real16', bytes: out8(DONE_PORT) }, { start: 'sipi' });
      const startUp = send(1, 0x4600 | ap.sipiVector);
      machine.vcpu(0).program(flat32(write32(at('SVR'), 0x1ff), ...send(1, 0x4500), ...startUp, ...startUp, hlt));
      await machine.run({ until: { port: DONE_PORT, vcpu: 1 } });
    },
  },
  {
    id: 'stock.priority.tpr',
    claim: 'TPR keeps a vector of its own class waiting, and lets one of a higher class through',
    source: 'SDM vol. 3 11.8.3.1',
    async run(ctx) {
      const machine = await takes(ctx, [write32(at('TPR'), 0x50), ...sendIcr(0x4_4051), ...sendIcr(0x4_4061)]);
      const { interrupts, vcpu } = machine.vcpu(0);
      ctx.equal(
        'handled and waiting',
        { handled: [...interrupts.keys()], waiting: vcpu.lapic().irr },
        { handled: [0x61], waiting: [0x51] },
      );
    },
  },
  {
    id: 'stock.priority.order',
    claim: 'Of three vectors that wait together the highest is taken first',
    source: 'SDM vol. 3 11.8.3',
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const vectors = [0x41, 0x91, 0x61];
      const program = flat32(
        ...vectors.flatMap((vector) => sendIcr(0x4_4000 | vector)),
        sti,
        nop,
        nop,
        out8(DONE_PORT),
      );
      const handler = (vector: number) => flat32(out8Value(NEXT_PORT, vector), write32(at('EOI'), 0), iretd).bytes;
      const place = (index: number) => machine.vcpu(0).entry + program.bytes.length + index * handler(0).length;
      machine.vcpu(0).program(flat32(program.bytes, ...vectors.map(handler)), {
        interrupts: false,
        handlers: Object.fromEntries(vectors.map((vector, index) => [vector, place(index)])),
      });
      const trace = await runUntilDone(machine);
      const taken = trace.named('KVM_EXIT_IO').flatMap(({ exit }) => (exit.port === NEXT_PORT ? [...exit.data] : []));
      ctx.equal('the vectors in the order in which they were taken', taken, [0x91, 0x61, 0x41]);
    },
  },
  {
    id: 'stock.eoi.in-service',
    claim: 'Until its EOI a vector is in service, and a lower one waits',
    source: 'SDM vol. 3 11.8.4',
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const program = flat32(...sendIcr(0x4_4061), nop, ...sendIcr(0x4_4041), nop, out8(DONE_PORT));
      const handler = machine.vcpu(0).entry + program.bytes.length;
      machine.vcpu(0).program(flat32(program.bytes, iretd), { handlers: { 97: handler } });
      await runUntilDone(machine);
      const { isr, irr } = machine.vcpu(0).vcpu.lapic();
      ctx.equal('ISR and IRR', { isr, irr }, { isr: [0x61], irr: [0x41] });
    },
  },
  {
    id: 'stock.eoi.ends',
    claim: 'Behind its EOI no vector is in service, and a lower one is taken',
    source: 'SDM vol. 3 11.8.5',
    async run(ctx) {
      const machine = await takes(ctx, [...sendIcr(0x4_4061), ...sendIcr(0x4_4041)]);
      const { interrupts, vcpu } = machine.vcpu(0);
      ctx.equal(
        'in service and handled',
        { isr: vcpu.lapic().isr, handled: [...interrupts.keys()] },
        { isr: [], handled: [0x41, 0x61] },
      );
    },
  },
];

/** Registers that hold what a guest writes, with a value that starts nothing. */
const holding = {
  TPR: 0x50,
  LDR: 0x0f00_0000,
  DFR: 0x0fff_ffff,
  SVR: 0x1fe,
  LVT_TIMER: 0x0001_00ee,
  LVT_LINT1: 0x0001_00ed,
  LVT_ERROR: 0x0001_00ef,
  TDCR: 0xb,
} as const;
const holdingNames = Object.keys(holding) as (keyof typeof holding)[];

const registers: Check[] = [
  {
    id: 'stock.icr.reads-back',
    claim: 'A guest reads from ICR2 and ICR the destination and the command that it wrote',
    source: 'SDM vol. 3 11.6.1',
    async run(ctx) {
      const machine = await runSender(ctx, ({ shared }) => [
        ...send(0x77, 0xc945),
        ...keep('ICR2', shared),
        ...keep('ICR', shared + 4),
      ]);
      ctx.equal('ICR2 and ICR', words(machine, machine.shared, 2), [0x7700_0000, 0xc945]);
    },
  },
  {
    id: 'stock.icr.idle',
    claim: 'The delivery status reads as idle behind a write that sets it',
    source: `SDM vol. 3 11.6.1; ${KVM}: kvm_lapic_reg_write`,
    async run(ctx) {
      const machine = await runSender(ctx, ({ shared }) => [...send(0x77, 0x5045), ...keep('ICR', shared)]);
      ctx.equal('bit 12 of ICR', words(machine, machine.shared, 1)[0]! & 0x1000, 0);
    },
  },
  {
    id: 'stock.icr.lapic-state',
    claim: 'KVM_GET_LAPIC shows the ICR2 and ICR that a guest wrote',
    source: 'Documentation/virt/kvm/api.rst 4.57',
    async run(ctx) {
      const machine = await runSender(ctx, send(0x77, 0x4945));
      const { ICR, ICR2 } = machine.vcpu(0).vcpu.lapic().registers;
      ctx.equal('ICR2 and ICR', [ICR2, ICR], [0x7700_0000, 0x4945]);
    },
  },
  {
    id: 'stock.registers.hold',
    claim: `A guest reads back what it wrote to ${holdingNames.join(', ')}`,
    source: 'SDM vol. 3 11.4.1, table 11-1',
    async run(ctx) {
      const machine = await runSender(ctx, ({ shared }) =>
        holdingNames.flatMap((name, index) => [write32(at(name), holding[name]), ...keep(name, shared + index * 4)]),
      );
      const read = words(machine, machine.shared, holdingNames.length);
      ctx.equal('the registers', Object.fromEntries(holdingNames.map((name, index) => [name, read[index]])), {
        ...holding,
      });
    },
  },
];

const X2 = { apic: 'x2apic', vcpus: 3 } as const;
const x2Routes = [
  ['physical', 'to an APIC id reaches that vCPU alone', 0x0000_0002_0000_4045n, [2]],
  ['broadcast', 'to destination 0xffffffff reaches every vCPU', 0xffff_ffff_0000_4045n, [0, 1, 2]],
  ['cluster', 'to a logical destination reaches the members of its cluster', 0x0000_0006_0000_4845n, [1, 2]],
  ['others', 'with the shorthand all excluding self reaches every other vCPU', 0x0000_0000_000c_4045n, [1, 2]],
] as const;

const x2: Check[] = [
  ...table(x2Routes, ([word, what, value, expected]) => ({
    id: `stock.x2apic.${word}`,
    claim: `In x2APIC mode a fixed IPI ${what}`,
    source: 'SDM vol. 3 11.12.9 and 11.12.10',
    needs: [x2apic],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, writeMsr(X2APIC_ICR, value), X2);
      ctx.equal('the vCPUs that the IPI reached', reached(machine, 0x45), [...expected]);
    },
  })),
  {
    id: 'stock.x2apic.self-ipi',
    claim: 'In x2APIC mode a write of SELF IPI reaches the vCPU that writes alone',
    source: 'SDM vol. 3 11.12.11',
    needs: [x2apic],
    async run(ctx) {
      const machine = await runSender(ctx, writeMsr(X2APIC_SELF_IPI, 0x45n), X2);
      ctx.equal('the vCPUs that the IPI reached', reached(machine, 0x45), [0]);
    },
  },
  {
    id: 'stock.x2apic.reads-back',
    claim: 'In x2APIC mode a guest reads from the ICR the 64 bits that it wrote',
    source: 'SDM vol. 3 11.12.9',
    needs: [x2apic],
    async run(ctx) {
      const machine = await runSender(
        ctx,
        ({ shared }) => [
          ...writeMsr(X2APIC_ICR, 0x0000_0077_0000_4045n),
          mov32('ecx', X2APIC_ICR),
          rdmsr,
          store32(shared),
          Uint8Array.of(0x89, 0xd0), // mov eax, edx
          store32(shared + 4),
        ],
        X2,
      );
      ctx.equal('the ICR', words(machine, machine.shared, 2), [0x4045, 0x77]);
    },
  },
];

const unforwarded = [
  ['full', fullIrqchip],
  ['split', splitIrqchip],
] as const;

export const stock = subject('stock', 'what IPIs do on any kernel', [
  ...fixed,
  ...others,
  ...registers,
  ...x2,
  ...table(unforwarded, ([irqchip, need]) => ({
    id: `stock.nothing-forwarded.${irqchip}`,
    claim: `Without the series an IPI makes no exit, with the ${irqchip} irqchip`,
    source: `Documentation/virt/kvm/api.rst 5; ${KVM}: apic_mmio_write`,
    needs: [stockKernel, need],
    async run(ctx: CheckContext) {
      const machine = await runSender(ctx, [...send(1, 0x4045), ...sendIcr(0xc_4046)], { irqchip });
      ctx.equal(
        'the exits',
        [...machine.trace].map(({ exit }) => exit.name),
        ['KVM_EXIT_IO'],
      );
      ctx.equal('the vectors that arrived', arrived(machine, 1), [0x45, 0x46]);
    },
  })),
]);
