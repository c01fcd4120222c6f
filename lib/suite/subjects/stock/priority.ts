/** What TPR, priority and EOI keep waiting. */

import { flat32, hlt, type Instruction, nop, out8, out8Value, sti, write32 } from '../../../guest/bytes.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import { iretd } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at, DONE_PORT, runUntilDone } from '../../kit/guests.ts';
import { hardwareVirtualization } from '../../kit/needs.ts';
import { sendIcr } from '../../kit/senders.ts';

/** An exit at which a vCPU is entered again: where KVM emulates guests, it takes interrupts there and in HLT alone. */
const NEXT_PORT = 0x12;

/** A vCPU sends with interrupts disabled, and takes what it can at the end: whatever way KVM runs it. */
async function takes(ctx: CheckContext, instructions: readonly Instruction[]): Promise<Machine> {
  const machine = await ctx.machine({ apic: 'xapic' });
  machine.vcpu(0).program(flat32(...instructions, sti, hlt, out8(NEXT_PORT), out8(DONE_PORT)), { interrupts: false });
  await runUntilDone(machine);
  return machine;
}

export const priorityChecks: Check[] = [
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
    claim: 'After its EOI no vector is in service, and a lower one is taken',
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
