/** What the registers hold of a write. */
import { write32 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import { at } from '../../kit/guests.ts';
import { keep, runSender, send, words } from '../../kit/senders.ts';
import { KVM } from './target.ts';

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

export const registerChecks: Check[] = [
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
    claim: 'The delivery status reads as idle after a write that sets it',
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
