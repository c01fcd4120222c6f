/** Where the APIC page is. */
import { APIC_DEFAULT_PHYS_BASE } from '../../../abi/apic/lapic.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import type { Check } from '../../check.ts';
import { forwarding } from '../../kit/needs.ts';
import { HOOK } from '../../kit/sources.ts';
import {
  ABSENT,
  changeBase,
  expectForwarded,
  ipi,
  ipiAsMmio,
  MOVED,
  mmio,
  run,
  runOn,
  VECTOR,
  waiting,
} from './guests.ts';

/** Moves a vCPU's APIC page as a VMM does. */
function moveApic(machine: Machine, id: number, to: number): void {
  const { vcpu } = machine.vcpu(id);
  const sregs = vcpu.getSregs();
  vcpu.setSregs({ ...sregs, apicBase: BigInt(to) | (sregs.apicBase & 0xfffn) });
}

export const baseChecks: Check[] = [
  {
    id: 'modes.base.moved-by-host.forwards',
    claim: 'ICR writes come out of an APIC page that KVM_SET_SREGS has moved',
    source: `${HOOK}; SDM vol. 3 11.4.5`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ irqchip: 'split', apic: 'xapic' });
      moveApic(machine, 0, MOVED);
      const code = [...ipi(ABSENT, { base: MOVED }), ...ipi(ABSENT, { base: MOVED })];
      expectForwarded(ctx, await runOn(machine, code));
    },
  },
  {
    id: 'modes.base.moved-by-guest.forwards',
    claim: 'ICR writes come out of an APIC page that the guest has moved by IA32_APIC_BASE',
    source: `${HOOK}; SDM vol. 3 11.4.5`,
    needs: [forwarding],
    async run(ctx) {
      const base = MOVED;
      const code = [...changeBase(0xfff, base), ...ipi(ABSENT, { base }), ...ipi(ABSENT, { base })];
      expectForwarded(ctx, await run(ctx, code, { irqchip: 'split', apic: 'xapic' }));
    },
  },
  {
    id: 'modes.base.moved.delivers',
    claim: 'An IPI that is sent by a moved APIC page reaches the other vCPU',
    source: 'SDM vol. 3 11.4.5, 11.6.1',
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      await runOn(machine, [...changeBase(0xfff, MOVED), ...ipi(1, { base: MOVED })]);
      ctx.equal('the vectors that wait in vCPU 1', waiting(machine, 1), [VECTOR]);
    },
  },
  {
    id: 'modes.base.moved.old-place',
    claim: 'Where the APIC page was before it was moved, ICR writes are KVM_EXIT_MMIO and nothing else',
    source: 'SDM vol. 3 11.4.5; Documentation/virt/kvm/api.rst 5, KVM_EXIT_MMIO',
    async run(ctx) {
      const exits = await run(ctx, [...changeBase(0xfff, MOVED), ...ipi(ABSENT)], { apic: 'xapic' });
      ctx.equal('the exits', [mmio(exits), exits.length], [ipiAsMmio(APIC_DEFAULT_PHYS_BASE), 2]);
    },
  },
  {
    id: 'modes.base.one-vcpu',
    claim: 'One vCPU moves its APIC page, and the ICR writes of another come out of the old place',
    source: `${HOOK}; SDM vol. 3 11.4.5: each CPU has an IA32_APIC_BASE of its own`,
    needs: [forwarding],
    async run(ctx) {
      const machine = await ctx.machine({ irqchip: 'split', vcpus: 2, apic: 'xapic' });
      moveApic(machine, 1, MOVED);
      expectForwarded(ctx, await runOn(machine, [...ipi(ABSENT), ...ipi(ABSENT)]));
    },
  },
];
