/** A local APIC that software or hardware has disabled. */
import { APIC_DEFAULT_PHYS_BASE } from '../../../abi/apic/lapic.ts';
import { flat32, nop, out8 } from '../../../guest/bytes.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { driveUntil, isPort } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';
import { capability, forwarding } from '../../kit/needs.ts';
import { HOOK } from '../../kit/sources.ts';
import {
  ABSENT,
  changeBase,
  ENABLE,
  expectForwarded,
  ipi,
  ipiAsMmio,
  mmio,
  QUIRK,
  runOn,
  VECTOR,
  waiting,
  withoutHole,
} from './guests.ts';

function setApicBaseBits(machine: Machine, id: number, change: (base: bigint) => bigint): void {
  const { vcpu } = machine.vcpu(id);
  const sregs = vcpu.getSregs();
  vcpu.setSregs({ ...sregs, apicBase: change(sregs.apicBase) });
}

/** Runs one vCPU of a machine, and no other, to its end. */
function finish(ctx: CheckContext, machine: Machine, id: number): void {
  const next = () => machine.vcpu(id).vcpu.run({ profile: ctx.profile });
  driveUntil(next, (exit) => isPort(exit, DONE_PORT), { most: 64, what: `that is the end of vCPU ${id}` });
  ctx.effect(`vCPU ${id} came to its end`);
}

export const disabledChecks: Check[] = [
  {
    id: 'modes.software-disabled.forwards',
    claim: 'ICR writes come out of a local APIC that SVR has disabled',
    source: `${HOOK}; SDM vol. 3 11.4.7.2`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ irqchip: 'split', apic: 'reset' });
      const code = [...ipi(ABSENT), ...ipi(ABSENT)];
      expectForwarded(ctx, await runOn(machine, code));
      ctx.equal('SVR bit 8', machine.vcpu(0).vcpu.lapic().softwareEnabled, false);
    },
  },
  {
    id: 'modes.software-disabled.sends',
    claim: 'An IPI of a local APIC that SVR has disabled reaches the other vCPU',
    source: 'SDM vol. 3 11.4.7.2',
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'reset' });
      machine.vcpu(1).vcpu.setLapicRegisters({ SVR: 0x1ff });
      await runOn(machine, ipi(1));
      ctx.equal('the vectors that wait in vCPU 1', waiting(machine, 1), [VECTOR]);
    },
  },
  {
    id: 'modes.software-disabled.refuses',
    claim: 'A local APIC that SVR has disabled takes no fixed IPI',
    source: 'SDM vol. 3 11.4.7.2',
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 3, apic: 'reset' });
      machine.vcpu(2).vcpu.setLapicRegisters({ SVR: 0x1ff });
      await runOn(machine, ipi(1));
      ctx.equal('the vectors that wait in vCPU 1', waiting(machine, 1), []);
    },
  },
  {
    id: 'modes.software-disabled.takes-nmi',
    claim: 'A local APIC that SVR has disabled takes an NMI',
    source: 'SDM vol. 3 11.4.7.2',
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'reset' });
      machine.vcpu(1).program(flat32(nop, out8(DONE_PORT)));
      // KVM leaves a vCPU out of its map of destinations until something of a local APIC changes after its making.
      machine.vcpu(1).vcpu.setLapicRegisters({ SVR: 0xff });
      machine.vcpu(0).program(flat32(...ipi(1, { icr: 0x4400 }), out8(DONE_PORT)));
      // One after the other: vCPU 1 is entered when the NMI waits.
      finish(ctx, machine, 0);
      finish(ctx, machine, 1);
      ctx.equal('the NMIs that vCPU 1 took', machine.vcpu(1).interrupts.get(2) ?? 0, 1);
    },
  },
  {
    id: 'modes.hardware-disabled.silent',
    claim: 'With the local APIC disabled by IA32_APIC_BASE, ICR writes go nowhere: no exit, and no IPI',
    source: QUIRK,
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      const exits = await runOn(machine, [...changeBase(~ENABLE, 0), ...ipi(1)]);
      ctx.equal('the exits and what waits in vCPU 1', [exits.map(({ name }) => name), waiting(machine, 1)], [[], []]);
    },
  },
  {
    id: 'modes.hardware-disabled.mmio',
    claim: 'Without the quirk, ICR writes are KVM_EXIT_MMIO alone while IA32_APIC_BASE disables the local APIC',
    source: QUIRK,
    needs: [capability('KVM_CAP_DISABLE_QUIRKS2')],
    async run(ctx) {
      const machine = await withoutHole(ctx, { apic: 'xapic' });
      const exits = await runOn(machine, [...changeBase(~ENABLE, 0), ...ipi(ABSENT)]);
      ctx.equal('the exits', [mmio(exits), exits.length], [ipiAsMmio(APIC_DEFAULT_PHYS_BASE), 2]);
    },
  },
  {
    id: 'modes.hardware-disabled.refuses',
    claim: 'A vCPU whose local APIC is disabled by IA32_APIC_BASE takes no IPI, and the others do',
    source: 'SDM vol. 3 11.4.3',
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 3, apic: 'xapic' });
      setApicBaseBits(machine, 1, (base) => base & ~BigInt(ENABLE));
      await runOn(machine, ipi(0, { icr: 0xc_4000 | VECTOR })); // all excluding self
      setApicBaseBits(machine, 1, (base) => base | BigInt(ENABLE));
      ctx.equal('the vectors that wait in vCPUs 1 and 2', [waiting(machine, 1), waiting(machine, 2)], [[], [VECTOR]]);
    },
  },
];
