/** Each exit has a switch of its own. */
import { APIC_BASE_EXTD, IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { read32, write32 } from '../../../guest/bytes.ts';
import { enableReservedExits } from '../../../probe/reserved-exits.ts';
import type { Check } from '../../check.ts';
import { at } from '../../kit/guests.ts';
import { reservedExits, x2apic } from '../../kit/needs.ts';
import { writeX2Icr } from '../../kit/replay.ts';
import { ACTOR, ALL, EXTENSION, exitsOf, icrs, machineWith, names, writeMsr } from './guest.ts';

export const switchChecks: Check[] = [
  {
    id: 'exits.off',
    claim:
      'A VM that was created with the parameters off makes none of exits 44, 46 and 47, even when they are on later',
    source: `${EXTENSION}: they count at KVM_CREATE_VM`,
    needs: [reservedExits, x2apic],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 3, apic: 'xapic' });
      const { apicBase } = machine.vcpu(ACTOR).vcpu.getSregs();
      using _ = enableReservedExits(ALL);
      const code = [
        read32(at('LDR')),
        write32(at('EOI'), 0),
        ...writeMsr(IA32_APIC_BASE, apicBase | APIC_BASE_EXTD),
        ...writeX2Icr(icrs[0]!),
      ];
      ctx.equal('exits', names(exitsOf(ctx, machine, code)), []);
    },
  },
  {
    id: 'exits.each',
    claim: 'Each of the three parameters makes its own exit, and none of the others',
    source: EXTENSION,
    needs: [reservedExits, x2apic],
    async run(ctx) {
      for (const which of ALL.filter((name) => ctx.profile.exits[name])) {
        const machine = await machineWith(ctx, [which], { apic: 'xapic' });
        const { apicBase } = machine.vcpu(ACTOR).vcpu.getSregs();
        const code = [
          read32(at('LDR')),
          ...writeMsr(IA32_APIC_BASE, apicBase | APIC_BASE_EXTD),
          ...writeX2Icr(icrs[0]!),
        ];
        ctx.equal(`exits with ${which} on`, names(exitsOf(ctx, machine, code)), [which]);
      }
    },
  },
];
