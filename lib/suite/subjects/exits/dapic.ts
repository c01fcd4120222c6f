/** Exit 44: accesses to the APIC page. */
import { encodeIcr, encodeIcr2 } from '../../../abi/apic/icr.ts';
import { lapicRegisters } from '../../../abi/apic/lapic.ts';
import { flat32, out8, read32, write16, write32 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import { CheckError } from '../../errors.ts';
import { Driver } from '../../kit/drive.ts';
import { at, DONE_PORT } from '../../kit/guests.ts';
import { has, reservedExits } from '../../kit/needs.ts';
import { sameRows } from '../../kit/rows.ts';
import { ACTOR, ALL, EXTENSION, exitsOf, machineWith, named, names } from './guest.ts';

const readable = ['ID', 'VERSION', 'LDR', 'DFR', 'SVR', 'ESR', 'ICR', 'ICR2', 'LVT_TIMER', 'TMICT'] as const;

export const dapicChecks: Check[] = [
  {
    id: 'exits.dapic.reads',
    claim: 'Exit 44 tells the vcpu_id and the offset of each read of the APIC page, ICR and ICR2 included',
    source: EXTENSION,
    needs: [has('KVM_EXIT_DAPIC'), reservedExits],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DAPIC'], { apic: 'xapic' });
      const seen = named(
        exitsOf(
          ctx,
          machine,
          readable.map((register) => read32(at(register))),
        ),
        'KVM_EXIT_DAPIC',
      );
      sameRows(
        'exits 44 (local_cpuid, offset)',
        seen.map(({ localCpuid, offset }) => [localCpuid, offset]),
        readable.map((register) => [ACTOR, lapicRegisters[register]]),
      );
    },
  },
  {
    id: 'exits.dapic.writes',
    claim: 'Exit 44 tells of each write of the APIC page that is no ICR or ICR2 write: EOI, wrong widths, wrong places',
    source: EXTENSION,
    needs: [has('KVM_EXIT_DAPIC'), reservedExits],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DAPIC'], { apic: 'xapic' });
      const code = [
        write32(at('EOI'), 0),
        write32(at('LDR'), 0x0100_0000),
        write32(at('LVT_TIMER'), 0x1_0030),
        write32(at('ICR') + 4, 0),
        write16(at('ICR2'), 0),
        write32(at('SVR'), 0x1ff),
      ];
      const offsets = [0xb0, 0xd0, 0x320, 0x304, 0x310, 0xf0];
      const seen = named(exitsOf(ctx, machine, code), 'KVM_EXIT_DAPIC');
      sameRows(
        'exits 44 (local_cpuid, offset)',
        seen.map(({ localCpuid, offset }) => [localCpuid, offset]),
        offsets.map((offset) => [ACTOR, offset]),
      );
    },
  },
  {
    id: 'exits.dapic.behind',
    claim: 'At exit 44 RIP is behind the access, the register has the value, and the rest of the union is zero',
    source: EXTENSION,
    needs: [has('KVM_EXIT_DAPIC'), reservedExits],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DAPIC'], { apic: 'xapic' });
      const write = write32(at('LDR'), 0x0400_0000);
      machine.vcpu(ACTOR).program(flat32(write, out8(DONE_PORT)));
      const driver = new Driver(ctx, machine, ACTOR);
      // What an exit before it could have left.
      for (let byte = 32; byte < 288; byte++) driver.vcpu.kvmRun.setUint8(byte, 0xa5);
      const [exit] = named([driver.next()], 'KVM_EXIT_DAPIC');
      if (!exit) throw new CheckError('the first exit is no KVM_EXIT_DAPIC');
      ctx.equal('RIP', Number(driver.vcpu.getRegs().rip), machine.vcpu(ACTOR).entry + write.length);
      ctx.equal('LDR', driver.vcpu.lapic().registers.LDR, 0x0400_0000);
      ctx.equal(
        'bytes of the union behind the payload that are not zero',
        exit.raw.subarray(8).filter((byte) => byte !== 0).length,
        0,
      );
    },
  },
  {
    id: 'exits.dapic.icr',
    claim: 'ICR and ICR2 writes, which have an exit of their own, make no exit 44',
    source: `patch 2/3; ${EXTENSION}`,
    needs: [has('KVM_EXIT_DAPIC'), reservedExits],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'xapic' });
      const code = [
        write32(at('ICR2'), encodeIcr2({ destination: 2 })),
        write32(at('ICR'), encodeIcr({ vector: 0x71 })),
      ];
      ctx.equal('exits but 45', names(exitsOf(ctx, machine, code)), []);
    },
  },
];
