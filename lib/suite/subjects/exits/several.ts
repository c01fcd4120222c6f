/** Each notice is an exit of its own, in order: of an instruction that makes several, and of a stretch that KVM emulates. */
import { encodeIcr2, encodeX2Icr } from '../../../abi/apic/icr.ts';
import { APIC_DEFAULT_PHYS_BASE } from '../../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, IA32_APIC_BASE, X2APIC_ICR } from '../../../abi/apic/msr.ts';
import { type Instruction, mov32 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import { movsd, pushad, read32Real16, repMovsd, repStosd, write32Real16, wrmsrReal16 } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { at } from '../../kit/guests.ts';
import { has, madeExit, reservedExits, x2apic } from '../../kit/needs.ts';
import { sameRows } from '../../kit/rows.ts';
import { STRETCH_SOURCE, stretched, stretches } from '../../kit/stretch.ts';
import { ACTOR, ALL, EXTENSION, exitsOf, machineWith, named, names } from './guest.ts';

/** No register is there: nothing comes of a write. */
const FREE = 0x5c0;
const free = APIC_DEFAULT_PHYS_BASE + FREE;
const words = (count: number, from: number, step = 4) => Array.from({ length: count }, (_, n) => from + n * step);

/** Instructions that access the page several times, and where. */
const several: readonly [word: string, what: string, code: readonly Instruction[], offsets: readonly number[]][] = [
  ['movs', 'MOVS within it', [mov32('esi', at('LDR')), mov32('edi', free), movsd], [0xd0, FREE]],
  ['pusha', 'PUSHA', [mov32('esp', free + 32), pushad], words(8, FREE + 28, -4)],
  ['rep-stos', 'REP STOS', [mov32('edi', free), mov32('ecx', 20), repStosd], words(20, FREE)],
  [
    'rep-movs',
    'REP MOVS within it',
    [mov32('esi', at('LDR')), mov32('edi', free), mov32('ecx', 3), repMovsd],
    words(3, 0xd0).flatMap((from, n) => [from, FREE + 4 * n]),
  ],
];

const severalChecks: Check[] = table(several, ([word, what, code, offsets]) => ({
  id: `exits.dapic.${word}`,
  claim: `Exit 44 tells of each access to the APIC page by one instruction, in their order: ${what}`,
  source: `${EXTENSION}; SDM vol. 2`,
  needs: [has('KVM_EXIT_DAPIC'), reservedExits],
  async run(ctx: CheckContext) {
    const machine = await machineWith(ctx, ['KVM_EXIT_DAPIC'], { apic: 'xapic' });
    const seen = named(exitsOf(ctx, machine, code), 'KVM_EXIT_DAPIC');
    sameRows(
      'exits 44 (local_cpuid, offset)',
      seen.map(({ localCpuid, offset }) => [localCpuid, offset]),
      offsets.map((offset) => [ACTOR, offset]),
    );
  },
}));

/** For nobody. */
const icrs = [0x71, 0x72, 0x73, 0x74].map((vector, n) => encodeX2Icr({ vector, destination: 0x1234_5678 + n }));
const base = BigInt(APIC_DEFAULT_PHYS_BASE) | APIC_BASE_ENABLE;

const stretchChecks: Check[] = [
  {
    id: 'exits.stretch.x2-icr',
    claim: 'Exit 46 tells of each WRMSR of the ICR, in their order, where KVM emulates one instruction after the other',
    source: `${EXTENSION}; ${STRETCH_SOURCE}`,
    needs: [madeExit('KVM_EXIT_DSM_X2_ICR'), x2apic, stretches],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DSM_X2_ICR'], { apic: 'x2apic', vcpus: 1 });
      const driver = await stretched(
        ctx,
        icrs.flatMap((icr) => wrmsrReal16(X2APIC_ICR, icr)),
        machine,
      );
      sameRows(
        'exits 46 (id, data)',
        named(driver.untilDone(), 'KVM_EXIT_DSM_X2_ICR').map(({ id, data }) => [id, `0x${data.toString(16)}`]),
        icrs.map((data) => [0, `0x${data.toString(16)}`]),
      );
    },
  },
  {
    id: 'exits.stretch.mixed',
    claim: 'Exits 44 and 47 come in the order of their instructions, where KVM emulates one after the other',
    source: `${EXTENSION}; ${STRETCH_SOURCE}`,
    needs: [has('KVM_EXIT_DAPIC'), reservedExits, stretches],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'xapic', vcpus: 1 });
      const code = [
        ...wrmsrReal16(IA32_APIC_BASE, base),
        read32Real16(at('LDR')),
        ...wrmsrReal16(IA32_APIC_BASE, base),
        write32Real16(at('ICR2'), encodeIcr2({ destination: 0x77 })),
        write32Real16(at('EOI'), 0),
        read32Real16(at('ID')),
      ];
      const [dapic, , apicBase] = ALL;
      ctx.equal('exits but 45', names((await stretched(ctx, code, machine)).untilDone()), [
        ...[apicBase, dapic, apicBase],
        ...[dapic, dapic],
      ]);
    },
  },
];

export const severalNoticesChecks: readonly Check[] = [...severalChecks, ...stretchChecks];
