/** What an ICR write leaves alone: the rest of its vCPU, memory, the other vCPUs; and what is so at its exit. */

import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import type { Exit } from '../../../exit/exit.ts';
import { flat32, hlt, nop, out8, sti } from '../../../guest/bytes.ts';
import { PAGE_SIZE } from '../../../kvm/guest-memory.ts';
import type { Vcpu } from '../../../kvm/vcpu/vcpu.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import { iretd } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { driveUntil } from '../../kit/drive.ts';
import { DONE_PORT, icr, icr2, lapicWriter, writeInstruction } from '../../kit/guests.ts';
import { hardwareVirtualization } from '../../kit/needs.ts';
import { HERE_PORT, letTake, sendBy, take } from './turns.ts';

export const PATCH = 'patch 2/3: the exit is a notification';

/** Guest memory in bytes that is quick to compare. */
const SMALL = 0x4_0000;
const ABSENT = 0x7700_0000;
export const FIXED = 0x40f0;

/** Bytes of one write instruction. */
export const WRITE = 10;

/** No register is given a value twice: so an exit names its write. */
export const writesToNobody = [icr2(ABSENT), icr(FIXED), icr2(0x7800_0000), icr(FIXED + 1)];

/** A guest that has run before it writes: what its first entry changes is not of its writes. */
const late = flat32(out8(HERE_PORT), lapicWriter(writesToNobody).bytes);

interface Sight {
  machine: Machine;
  /** Looked at before the guest writes, and at each exit after that. */
  look: (machine: Machine) => unknown;
}

async function expectSame(ctx: CheckContext, what: string, { machine, look }: Sight): Promise<void> {
  let before: { seen: unknown } | null = null;
  sendBy(ctx, machine, late, ({ name }) => {
    const seen = look(machine);
    before ??= { seen };
    ctx.equal(`${what} at ${name}`, seen, before.seen);
  });
}

/** vcpu_ids that write nothing. */
const others = [1, 2] as const;

/** What of a vCPU nothing of another one may change. */
const everything = (vcpu: Vcpu) => ({
  regs: vcpu.getRegs(),
  sregs: vcpu.getSregs(),
  events: vcpu.getVcpuEvents(),
  lapic: vcpu.lapic(),
  mpState: vcpu.getMpState(),
  xsave: Buffer.from(vcpu.getXsave()).toString('hex'),
});

/** XSAVE area: where the legacy region has FCW, MXCSR, ST0 and XMM0, and the header XSTATE_BV. SDM vol. 1 13.4. */
const XSAVE = { fcw: 0, mxcsr: 24, st: 32, xmm: 160, legacyEnd: 416, header: 512 } as const;

/** Something in every x87 and SSE register. */
function fillFpu(vcpu: Vcpu): void {
  const area = vcpu.getXsave();
  const view = new DataView(area.buffer, area.byteOffset);
  for (let at: number = XSAVE.st; at < XSAVE.legacyEnd; at++)
    area[at] = at < XSAVE.xmm && at % 16 >= 10 ? 0 : at & 0xff;
  view.setUint16(XSAVE.fcw, 0x037f, true);
  view.setUint32(XSAVE.mxcsr, 0x1f80, true);
  view.setUint8(XSAVE.header, area[XSAVE.header]! | 0b11);
  vcpu.setXsave(area);
}

const untouched: Check[] = (
  [
    ['sregs', 'segments, tables and control registers', (vcpu) => vcpu.getSregs()],
    ['fpu', 'x87 and SSE registers', (vcpu) => vcpu.getFpu()],
    ['debugregs', 'debug registers', (vcpu) => vcpu.getDebugregs()],
    ['events', 'pending exceptions, interrupts and NMIs', (vcpu) => vcpu.getVcpuEvents()],
    ['mp-state', 'mp_state', (vcpu) => vcpu.getMpState()],
  ] as [string, string, (vcpu: Vcpu) => unknown][]
).map(([word, what, look]) => ({
  id: `transparency.vcpu.${word}`,
  claim: `Writes of ICR2 and ICR leave their vCPU's ${what} alone`,
  source: `${PATCH}; SDM vol. 3 11.6.1`,
  async run(ctx) {
    const machine = await ctx.machine({ apic: 'xapic' });
    if (word === 'fpu') fillFpu(machine.vcpu(0).vcpu);
    await expectSame(ctx, what, { machine, look: () => look(machine.vcpu(0).vcpu) });
  },
}));

/** Where pieces of so many bytes differ. */
function changed(before: Uint8Array, after: Uint8Array, size: number): number[] {
  return Array.from({ length: before.length / size }, (_, index) => index * size).filter(
    (at) => Buffer.compare(before.subarray(at, at + size), after.subarray(at, at + size)) !== 0,
  );
}

export const stateChecks: readonly Check[] = [
  ...untouched,
  {
    id: 'transparency.lapic',
    claim: 'Writes of ICR2 and ICR change no other register of the local APIC',
    source: 'SDM vol. 3 11.6.1',
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const { vcpu } = machine.vcpu(0);
      const before = vcpu.getLapic();
      const mayDiffer = new Set<number>([lapicRegisters.ICR, lapicRegisters.ICR2]);
      sendBy(ctx, machine, lapicWriter(writesToNobody), ({ name }) => {
        const offsets = changed(before, vcpu.getLapic(), 16).filter((offset) => !mayDiffer.has(offset));
        ctx.equal(`the other registers that changed, at ${name}`, offsets, []);
      });
    },
  },
  {
    id: 'transparency.memory',
    claim: 'Writes of ICR2 and ICR leave the memory of the guest alone',
    source: `${PATCH}; SDM vol. 3 11.4.1`,
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic', memory: SMALL });
      let before: Uint8Array | null = null;
      sendBy(ctx, machine, late, ({ name }) => {
        const now = machine.memory.read(0, machine.memory.size);
        before ??= now;
        ctx.equal(`the pages that changed, at ${name}`, changed(before, now, PAGE_SIZE), []);
      });
    },
  },
  {
    id: 'transparency.others.state',
    claim: 'Writes of ICR2 and ICR that send another vCPU nothing leave its registers and its local APIC alone',
    source: `${PATCH}; SDM vol. 3 11.6.1`,
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 3, apic: 'xapic' });
      await expectSame(ctx, 'vCPUs 1 and 2', {
        machine,
        look: () => others.map((id) => everything(machine.vcpu(id).vcpu)),
      });
    },
  },
  {
    id: 'transparency.others.running',
    claim: 'A vCPU that another one sends nothing goes on with its own work between the exits',
    source: PATCH,
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      letTake(machine, [1]);
      const before = machine.vcpu(1).vcpu.getRegs();
      sendBy(ctx, machine, lapicWriter(writesToNobody), () => take(ctx, machine, 1));
      const after = machine.vcpu(1).vcpu.getRegs();
      ctx.equal('its registers', { ...after, rip: 0n }, { ...before, rip: 0n });
      ctx.equal('the interrupts that it took', [...machine.vcpu(1).interrupts], []);
    },
  },
  {
    id: 'transparency.tpr.holds-back',
    claim: 'An IPI to itself waits while TPR is above it, and is taken once when TPR is lowered',
    source: 'SDM vol. 3 11.8.3.1',
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      // Guests that KVM emulates take interrupts after an exit.
      const code = flat32(
        writeInstruction({ register: 'TPR', value: 0x60 }),
        writeInstruction(icr(0x4_4000 | 0x51)),
        out8(HERE_PORT),
        out8(HERE_PORT),
        writeInstruction({ register: 'TPR', value: 0 }),
        out8(DONE_PORT),
      );
      const taken: [number, number][][] = [];
      sendBy(ctx, machine, code, (exit) => {
        if (exit.name === 'KVM_EXIT_IO' && exit.port === HERE_PORT) taken.push([...machine.vcpu(0).interrupts]);
      });
      take(ctx, machine, 0);
      taken.push([...machine.vcpu(0).interrupts]);
      ctx.equal('the vectors taken before and after', taken, [[], [], [[0x51, 1]]]);
    },
  },
  {
    id: 'transparency.eoi.ends',
    claim: 'A lower vector that is sent from within a handler is taken after its EOI, and once',
    source: 'SDM vol. 3 11.8.4, 11.8.5',
    needs: [hardwareVirtualization],
    async run(ctx) {
      const machine = await ctx.machine({ apic: 'xapic' });
      const handler = 0x60;
      const inHandler = 0x14;
      // Interrupts are on in the handler: only the vector in service holds the lower one back.
      const main = [writeInstruction(icr(0x4_4000 | 0x81)), nop, out8(DONE_PORT), hlt];
      const code = [
        sti,
        writeInstruction(icr(0x4_4000 | 0x51)),
        nop,
        out8(inHandler),
        writeInstruction({ register: 'EOI', value: 0 }),
        nop,
        out8(inHandler),
        iretd,
      ];
      const bytes = new Uint8Array(handler + 64).fill(0x90);
      bytes.set(Buffer.concat(main), 0);
      bytes.set(Buffer.concat(code), handler);
      const { entry, vcpu } = machine.vcpu(0);
      machine.vcpu(0).program({ mode: 'flat32', bytes }, { handlers: { 129: entry + handler } });
      const taken: [number, number][][] = [];
      const isThird = ({ name }: Exit) => name === 'KVM_EXIT_IO' && taken.push([...machine.vcpu(0).interrupts]) === 3;
      driveUntil(() => vcpu.run({ profile: ctx.profile }), isThird, { most: 64, what: 'of a third port' });
      ctx.effect('ports that the guest came by', taken.length);
      ctx.equal('the vectors taken before the EOI, after it, at the end', taken, [[], [[0x51, 1]], [[0x51, 1]]]);
    },
  },
];
