/** Which irqchip the VM has, or none. */
import { APIC_DEFAULT_PHYS_BASE } from '../../../abi/apic/lapic.ts';
import { read32, write32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { forwarding } from '../../kit/needs.ts';
import { HOOK } from '../../kit/sources.ts';
import { ABSENT, expectForwarded, ipi, ipiAsMmio, mmio, run, runOn, VECTOR, waiting } from './guests.ts';

const irqchips = ['full', 'split'] as const;

export const irqchipChecks: Check[] = [
  ...table(irqchips, (irqchip) => ({
    id: `modes.irqchip.${irqchip}.forwards`,
    claim: `ICR writes come out of a VM with the ${irqchip} irqchip`,
    source: HOOK,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      expectForwarded(ctx, await run(ctx, [...ipi(ABSENT), ...ipi(ABSENT)], { irqchip, apic: 'xapic' }));
    },
  })),
  ...table(irqchips, (irqchip) => ({
    id: `modes.irqchip.${irqchip}.delivers`,
    claim: `An IPI reaches the other vCPU of a VM with the ${irqchip} irqchip`,
    source: 'SDM vol. 3 11.6.1; Documentation/virt/kvm/api.rst 4.24, 7.5',
    async run(ctx: CheckContext) {
      const machine = await ctx.machine({ irqchip, vcpus: 2, apic: 'xapic' });
      await runOn(machine, ipi(1));
      ctx.equal('the vectors that wait in vCPU 1', waiting(machine, 1), [VECTOR]);
    },
  })),
  {
    id: 'modes.irqchip.none.writes',
    claim: 'Without in-kernel local APIC, ICR2 and ICR writes are KVM_EXIT_MMIO and nothing else',
    source: 'Documentation/virt/kvm/api.rst 5, KVM_EXIT_MMIO',
    async run(ctx) {
      const exits = await run(ctx, ipi(ABSENT), { irqchip: 'none' });
      ctx.equal('the exits', [mmio(exits), exits.length], [ipiAsMmio(APIC_DEFAULT_PHYS_BASE), 2]);
    },
  },
  {
    id: 'modes.irqchip.none.reads',
    claim: 'Without in-kernel local APIC, reads of ICR2 and ICR are KVM_EXIT_MMIO',
    source: 'Documentation/virt/kvm/api.rst 5, KVM_EXIT_MMIO',
    async run(ctx) {
      const exits = await run(ctx, [read32(0xfee0_0310), read32(0xfee0_0300)], { irqchip: 'none' });
      ctx.equal('the exits', mmio(exits), ['4 bytes at 0xfee00310 read', '4 bytes at 0xfee00300 read']);
    },
  },
  {
    id: 'modes.irqchip.none.page',
    claim: 'Without in-kernel local APIC, a write of any of the 64 registers is KVM_EXIT_MMIO',
    source: 'Documentation/virt/kvm/api.rst 5, KVM_EXIT_MMIO',
    async run(ctx) {
      const addresses = Array.from({ length: 64 }, (_, index) => APIC_DEFAULT_PHYS_BASE + index * 16);
      const code = addresses.map((address) => write32(address, 0x0102_0304));
      const exits = await run(ctx, code, { irqchip: 'none' });
      ctx.equal(
        'the exits',
        mmio(exits),
        addresses.map((address) => `4 bytes at 0x${address.toString(16)} = 04030201`),
      );
    },
  },
];
