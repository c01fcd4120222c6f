/** What is so at the exit of a write. */
import type { Exit } from '../../../exit/exit.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { icr, icr2, lapicWriter } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { FIXED, PATCH, WRITE, writesToNobody } from './state.ts';
import { sendBy } from './turns.ts';

type Written = Extract<Exit, { name: 'KVM_EXIT_DSM_SEND_IRQ' }>;

/** At each exit of a forwarded write of vCPU 0; at least one has to come. */
async function atForwarded(
  ctx: CheckContext,
  options: { vcpus: number; writes?: typeof writesToNobody },
  look: (machine: Machine, exit: Written) => void,
): Promise<void> {
  const machine = await ctx.machine({ irqchip: 'split', vcpus: options.vcpus, apic: 'xapic' });
  let seen = 0;
  sendBy(ctx, machine, lapicWriter(options.writes ?? writesToNobody), (exit) => {
    if (exit.name !== 'KVM_EXIT_DSM_SEND_IRQ') return;
    seen++;
    look(machine, exit);
  });
  ctx.ok(seen > 0, 'no write came out');
}

/** The write that an exit is of, by its payload; -1 if there is none: what an exit says is the claim of others. */
const indexOf = (writes: typeof writesToNobody, { register, val2 }: Written) =>
  writes.findIndex((write) => write.register === register && write.value === val2);

const writesToVcpu1 = [icr2(0x0100_0000), icr(FIXED), icr(FIXED + 2)];

export const atExitChecks: Check[] = [
  {
    id: 'transparency.exit.rip',
    claim: 'At each exit RIP is that of the instruction behind the one that wrote',
    source: PATCH,
    needs: [forwarding],
    run: (ctx) =>
      atForwarded(ctx, { vcpus: 1 }, (machine, exit) => {
        const index = indexOf(writesToNobody, exit);
        if (index < 0) return;
        const { entry, vcpu } = machine.vcpu(0);
        const behind = BigInt(entry + (index + 1) * WRITE);
        ctx.equal(`RIP at the exit of write ${index + 1}`, vcpu.getRegs().rip, behind);
      }),
  },
  {
    id: 'transparency.exit.written',
    claim: 'At each exit the local APIC holds already what was written',
    source: `${PATCH}: kvm_lapic_reg_write comes first`,
    needs: [forwarding],
    run: (ctx) =>
      atForwarded(ctx, { vcpus: 1 }, (machine, exit) => {
        const write = writesToNobody[indexOf(writesToNobody, exit)];
        if (!write) return;
        const { register, value } = write;
        ctx.equal(`${register} at its exit`, machine.vcpu(0).vcpu.lapic().registers[register], value);
      }),
  },
  {
    id: 'transparency.exit.delivered',
    claim: 'At the exit of an ICR write its IPI waits in the target already',
    source: `${PATCH}: kvm_lapic_reg_write comes first`,
    needs: [forwarding],
    run: (ctx) =>
      atForwarded(ctx, { vcpus: 2, writes: writesToVcpu1 }, (machine, exit) => {
        const index = indexOf(writesToVcpu1, exit);
        if (index < 1) return;
        const waits = machine.vcpu(1).vcpu.lapic().irr;
        const vector = exit.val2 & 0xff;
        ctx.ok(waits.includes(vector), `vector ${vector} does not wait; those that do: ${waits.join(', ') || 'none'}`);
      }),
  },
];
