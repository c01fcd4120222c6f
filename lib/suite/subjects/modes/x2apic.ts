/** The APIC page in x2APIC mode, and the way back from other modes. */
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../../../abi/apic/lapic.ts';
import { write32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { capability, forwarding, x2apic } from '../../kit/needs.ts';
import { HOOK } from '../../kit/sources.ts';
import {
  ABSENT,
  changeBase,
  ENABLE,
  expectForwarded,
  ipi,
  ipiAsMmio,
  MOVED,
  mmio,
  QUIRK,
  run,
  runOn,
  VECTOR,
  waiting,
  withoutHole,
} from './guests.ts';

const EXTD = 1 << 10;

const enterX2apic = changeBase(0xffff_ffff, ENABLE | EXTD);

/** From x2APIC to xAPIC mode there is no way but through the disabled APIC. */
const leaveX2apic = [...changeBase(~(ENABLE | EXTD), 0), ...changeBase(0xffff_ffff, ENABLE)];

/** Ways from xAPIC mode into one and back. */
const roundTrips = [
  ['x2apic', 'x2APIC mode', [x2apic], [...enterX2apic, ...leaveX2apic]],
  ['disabled', 'the disabled state', [], [...changeBase(~ENABLE, 0), ...changeBase(0xffff_ffff, ENABLE)]],
  ['moved', 'another place', [], [...changeBase(0xfff, MOVED), ...changeBase(0xfff, APIC_DEFAULT_PHYS_BASE)]],
] as const;

const enableBySvr = (base = APIC_DEFAULT_PHYS_BASE) => write32(base + lapicRegisters.SVR, 0x1ff);

export const x2apicChecks: Check[] = [
  {
    id: 'modes.x2apic.page.silent',
    claim: 'In x2APIC mode, writes to where the APIC page was go nowhere: no exit, and no IPI',
    source: QUIRK,
    needs: [x2apic],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      const all = await runOn(machine, [...enterX2apic, ...ipi(1)]);
      // The way into the mode may have an exit of its own.
      const exits = all.filter(({ name }) => name !== 'KVM_EXIT_DSM_APIC_BASE');
      ctx.equal('the exits and what waits in vCPU 1', [exits.map(({ name }) => name), waiting(machine, 1)], [[], []]);
    },
  },
  {
    id: 'modes.x2apic.page.mmio',
    claim: 'Without the quirk, writes to where the APIC page was are KVM_EXIT_MMIO alone in x2APIC mode',
    source: QUIRK,
    needs: [x2apic, capability('KVM_CAP_DISABLE_QUIRKS2')],
    async run(ctx) {
      const machine = await withoutHole(ctx, { apic: 'x2apic' });
      const exits = await runOn(machine, ipi(ABSENT));
      ctx.equal('the exits', [mmio(exits), exits.length], [ipiAsMmio(APIC_DEFAULT_PHYS_BASE), 2]);
    },
  },
  ...table(roundTrips, ([word, where, needs, code]) => ({
    id: `modes.round-trip.${word}.forwards`,
    claim: `ICR writes come out after the local APIC has gone into ${where} and back`,
    source: `${HOOK}; SDM vol. 3 11.4.3, 11.4.5, 11.12.5`,
    needs: [forwarding, ...needs],
    async run(ctx: CheckContext) {
      expectForwarded(
        ctx,
        await run(ctx, [...code, enableBySvr(), ...ipi(ABSENT), ...ipi(ABSENT)], { irqchip: 'split', apic: 'xapic' }),
      );
    },
  })),
  ...table(roundTrips, ([word, where, needs, code]) => ({
    id: `modes.round-trip.${word}.delivers`,
    claim: `An IPI reaches the other vCPU after the local APIC has gone into ${where} and back`,
    source: 'SDM vol. 3 11.4.3, 11.4.5, 11.12.5',
    needs: [...needs],
    async run(ctx: CheckContext) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      await runOn(machine, [...code, enableBySvr(), ...ipi(1)]);
      ctx.equal('the vectors that wait in vCPU 1', waiting(machine, 1), [VECTOR]);
    },
  })),
];
