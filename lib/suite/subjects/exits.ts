/**
 * Exits 44, 46 and 47, which the series reserves and the lab kernel's extension makes. Each check switches on what it is
 * about for its own machines alone.
 */
import { encodeIcr, encodeIcr2, encodeX2Icr } from '../../abi/apic/icr.ts';
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import { APIC_BASE_ENABLE, APIC_BASE_EXTD, IA32_APIC_BASE, X2APIC_ICR, X2APIC_SELF_IPI } from '../../abi/apic/msr.ts';
import type { Exit, ExitName, ExitOf } from '../../exit/decode.ts';
import { flat32, hlt, type Instruction, mov32, out8, read32, write16, write32, wrmsr } from '../../guest/bytes.ts';
import { enableReservedExits, type ReservedExitName } from '../../probe/reserved-exits.ts';
import type { Machine, MachineOptions } from '../../script/machine/machine.ts';
import { subject } from '../check.ts';
import { CheckError } from '../errors.ts';
import type { CheckContext } from '../kit/context.ts';
import { Driver } from '../kit/drive.ts';
import { sameRows } from '../kit/forwarded-writes.ts';
import { at, DONE_PORT } from '../kit/guests.ts';
import { reservedExits, x2apic } from '../kit/needs.ts';
import { writeX2Icr } from '../kit/replay.ts';

const EXTENSION = 'kernel/arch/x86/kvm/dsm_exit.c';
const X2_HEADER = `patch 1/3, include/uapi/linux/kvm.h: x2apic; ${EXTENSION}`;
const BASE_HEADER = `patch 1/3, include/uapi/linux/kvm.h: x2msr_base; ${EXTENSION}`;
const ALL = ['KVM_EXIT_DAPIC', 'KVM_EXIT_DSM_X2_ICR', 'KVM_EXIT_DSM_APIC_BASE'] as const;
/** The vCPU whose guest acts. Not 0, which is what a mistake makes of much. */
const ACTOR = 1;
const MOVED = 0xfed0_0000n;

/** A machine whose VM makes these exits. */
async function machineWith(
  ctx: CheckContext,
  which: readonly ReservedExitName[],
  options: MachineOptions,
): Promise<Machine> {
  using _ = enableReservedExits(which);
  return await ctx.machine({ vcpus: 3, ...options });
}

/** What the actor exits with before the end of this program. */
function exitsOf(ctx: CheckContext, machine: Machine, code: readonly Instruction[]): Exit[] {
  machine.vcpu(ACTOR).program(flat32(...code, out8(DONE_PORT)));
  return new Driver(ctx, machine, ACTOR).untilDone();
}

const named = <N extends ExitName>(exits: readonly Exit[], name: N) =>
  exits.filter((exit): exit is ExitOf<N> => exit.name === name);
/** Exit 45 is the claim of others. */
const names = (exits: readonly Exit[]) =>
  exits.map(({ name }) => name).filter((name) => (ALL as readonly string[]).includes(name));

function writeMsr(index: number, value: bigint): Instruction[] {
  const low = Number(value & 0xffff_ffffn);
  return [mov32('ecx', index), mov32('eax', low), mov32('edx', Number(value >> 32n)), wrmsr];
}

/** The first goes the way that KVM keeps for IPIs to one vCPU, the others do not. */
const icrs = [
  encodeX2Icr({ vector: 0x71, destination: 2 }),
  encodeX2Icr({ vector: 0x72, destination: 0b101, destinationMode: 'logical' }),
  encodeX2Icr({ vector: 0, destination: 2, deliveryMode: 'nmi' }),
  encodeX2Icr({ vector: 0x73, destination: 0, shorthand: 'allExcludingSelf' }),
  encodeX2Icr({ vector: 0x74, destination: 0x1234_5678 }),
  encodeX2Icr({ vector: 0x75, destination: 0xffff_ffff, deliveryMode: 'lowestPriority' }),
];

const readable = ['ID', 'VERSION', 'LDR', 'DFR', 'SVR', 'ESR', 'ICR', 'ICR2', 'LVT_TIMER', 'TMICT'] as const;

/** Of a WRMSR that ends in #GP, whose handler leaves. */
function exitsOfFault(ctx: CheckContext, machine: Machine, index: number, value: bigint): Exit[] {
  const code = [...writeMsr(index, value), hlt];
  const handler = machine.vcpu(ACTOR).entry + lengthOf(code);
  machine.vcpu(ACTOR).program(flat32(...code, out8(DONE_PORT)), { handlers: { 13: handler } });
  return new Driver(ctx, machine, ACTOR).untilDone();
}

const lengthOf = (code: readonly Instruction[]) => code.reduce((sum, bytes) => sum + bytes.length, 0);

export const exits = subject('exits', 'the exits that the series reserves, as the extension makes them', [
  {
    id: 'exits.x2-icr.fields',
    claim: "Exit 46 tells the vcpu_id and the 64 bits of each of the guest's ICR writes, once",
    source: X2_HEADER,
    needs: [reservedExits, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DSM_X2_ICR'], { apic: 'x2apic' });
      const seen = named(exitsOf(ctx, machine, icrs.flatMap(writeX2Icr)), 'KVM_EXIT_DSM_X2_ICR');
      sameRows(
        'exits 46 (id, data)',
        seen.map(({ id, data }) => [id, `0x${data.toString(16)}`]),
        icrs.map((data) => [ACTOR, `0x${data.toString(16)}`]),
      );
    },
  },
  {
    id: 'exits.x2-icr.behind',
    claim: 'At exit 46 RIP is behind the WRMSR, and the IPI has arrived',
    source: EXTENSION,
    needs: [reservedExits, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DSM_X2_ICR'], { apic: 'x2apic' });
      const code = writeX2Icr(icrs[0]!);
      machine.vcpu(ACTOR).program(flat32(...code, out8(DONE_PORT)));
      const driver = new Driver(ctx, machine, ACTOR);
      ctx.equal('the first exit', driver.next().name, 'KVM_EXIT_DSM_X2_ICR');
      ctx.equal('RIP', Number(driver.vcpu.getRegs().rip), machine.vcpu(ACTOR).entry + lengthOf(code));
      ctx.equal('IRR of the destination', machine.vcpu(2).vcpu.lapic().irr, [0x71]);
    },
  },
  {
    id: 'exits.x2-icr.fault',
    claim: 'An ICR write that ends in a general protection fault makes no exit 46',
    source: `${EXTENSION}; SDM vol. 3 11.12.9`,
    needs: [reservedExits, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'x2apic' });
      ctx.equal('exits', names(exitsOfFault(ctx, machine, X2APIC_ICR, icrs[0]! | (1n << 13n))), []);
    },
  },
  {
    id: 'exits.x2-icr.others',
    claim: 'Neither a write of SELF IPI nor one by KVM_SET_MSRS makes exit 46',
    source: EXTENSION,
    needs: [reservedExits, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'x2apic' });
      machine.vcpu(ACTOR).vcpu.setMsr(X2APIC_ICR, icrs[0]!);
      ctx.equal('exits', names(exitsOf(ctx, machine, writeMsr(X2APIC_SELF_IPI, 0x76n))), []);
      ctx.equal('IRR of the destination', machine.vcpu(2).vcpu.lapic().irr, [0x71]);
    },
  },
  {
    id: 'exits.apic-base.fields',
    claim: "Exit 47 tells vcpu_id, host 0, MSR 0x1b and the value of each of the guest's writes, once",
    source: BASE_HEADER,
    needs: [reservedExits, x2apic],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DSM_APIC_BASE'], { apic: 'xapic' });
      const { apicBase } = machine.vcpu(ACTOR).vcpu.getSregs();
      const values = [MOVED | APIC_BASE_ENABLE, apicBase, apicBase | APIC_BASE_EXTD, apicBase & ~APIC_BASE_ENABLE];
      const code = values.flatMap((value) => writeMsr(IA32_APIC_BASE, value));
      const seen = named(exitsOf(ctx, machine, code), 'KVM_EXIT_DSM_APIC_BASE');
      sameRows(
        'exits 47 (id, host, index, data)',
        seen.map(({ id, host, index, data }) => [id, host, index, `0x${data.toString(16)}`]),
        values.map((data) => [ACTOR, false, IA32_APIC_BASE, `0x${data.toString(16)}`]),
      );
    },
  },
  {
    id: 'exits.apic-base.behind',
    claim: 'At exit 47 RIP is behind the WRMSR, and IA32_APIC_BASE has the value',
    source: EXTENSION,
    needs: [reservedExits],
    async run(ctx) {
      const machine = await machineWith(ctx, ['KVM_EXIT_DSM_APIC_BASE'], { apic: 'xapic' });
      const code = writeMsr(IA32_APIC_BASE, MOVED | APIC_BASE_ENABLE);
      machine.vcpu(ACTOR).program(flat32(...code, out8(DONE_PORT)));
      const driver = new Driver(ctx, machine, ACTOR);
      ctx.equal('the first exit', driver.next().name, 'KVM_EXIT_DSM_APIC_BASE');
      ctx.equal('RIP', Number(driver.vcpu.getRegs().rip), machine.vcpu(ACTOR).entry + lengthOf(code));
      ctx.equal('IA32_APIC_BASE', driver.vcpu.getSregs().apicBase, MOVED | APIC_BASE_ENABLE);
    },
  },
  {
    id: 'exits.apic-base.fault',
    claim: 'A write of IA32_APIC_BASE that ends in a general protection fault makes no exit 47',
    source: `${EXTENSION}; SDM vol. 3 11.4.4`,
    needs: [reservedExits],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'xapic' });
      ctx.equal('exits', names(exitsOfFault(ctx, machine, IA32_APIC_BASE, MOVED | APIC_BASE_ENABLE | 1n)), []);
    },
  },
  {
    id: 'exits.apic-base.host',
    claim: 'A write of IA32_APIC_BASE by KVM_SET_MSRS or KVM_SET_SREGS makes no exit 47',
    source: EXTENSION,
    needs: [reservedExits],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'xapic' });
      const { vcpu } = machine.vcpu(ACTOR);
      const sregs = vcpu.getSregs();
      vcpu.setSregs({ ...sregs, apicBase: MOVED | APIC_BASE_ENABLE });
      vcpu.setMsr(IA32_APIC_BASE, sregs.apicBase);
      ctx.equal('exits', names(exitsOf(ctx, machine, [])), []);
    },
  },
  {
    id: 'exits.dapic.reads',
    claim: 'Exit 44 tells the vcpu_id and the offset of each read of the APIC page, ICR and ICR2 included',
    source: EXTENSION,
    needs: [reservedExits],
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
    needs: [reservedExits],
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
    needs: [reservedExits],
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
    needs: [reservedExits],
    async run(ctx) {
      const machine = await machineWith(ctx, ALL, { apic: 'xapic' });
      const code = [
        write32(at('ICR2'), encodeIcr2({ destination: 2 })),
        write32(at('ICR'), encodeIcr({ vector: 0x71 })),
      ];
      ctx.equal('exits but 45', names(exitsOf(ctx, machine, code)), []);
    },
  },
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
      for (const which of ALL) {
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
]);
