/** Where the local APIC is, and in which state. */

import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../../abi/apic/lapic.ts';
import { IA32_APIC_BASE } from '../../abi/apic/msr.ts';
import { KVM_X86_QUIRK_LAPIC_MMIO_HOLE } from '../../abi/kvm/capability.ts';
import type { Exit } from '../../exit/decode.ts';
import { flat32, type Instruction, mov32, nop, out8, rdmsr, read32, write32, wrmsr } from '../../guest/bytes.ts';
import type { Machine, MachineOptions } from '../../script/machine/machine.ts';
import { subject, table } from '../check.ts';
import type { CheckContext } from '../kit/context.ts';
import { forwardedExits } from '../kit/forwarded-writes.ts';
import { DONE_PORT, runUntilDone } from '../kit/guests.ts';
import { capability, forwarding, x2apic } from '../kit/needs.ts';
import { HOOK } from '../kit/sources.ts';

const QUIRK = 'Documentation/virt/kvm/api.rst 7.31, KVM_X86_QUIRK_LAPIC_MMIO_HOLE';
/** No vCPU has it. */
const ABSENT = 0x77;
const VECTOR = 0x61;
const MOVED = 0xfed0_0000;
const ENABLE = 1 << 11;
const EXTD = 1 << 10;

/** One IPI by the APIC page. */
function ipi(destination: number, { base = APIC_DEFAULT_PHYS_BASE, icr = 0x4000 | VECTOR } = {}): Instruction[] {
  return [write32(base + lapicRegisters.ICR2, destination * 2 ** 24), write32(base + lapicRegisters.ICR, icr)];
}

/** `wrmsr` of IA32_APIC_BASE, after this: and its value's bits are `eax & mask | bits`. */
function changeBase(mask: number, bits: number): Instruction[] {
  const le = (value: number) => [...new Uint8Array(Uint32Array.of(value).buffer)];
  return [
    mov32('ecx', IA32_APIC_BASE),
    rdmsr,
    Uint8Array.of(0x25, ...le(mask)), // and eax, mask
    Uint8Array.of(0x0d, ...le(bits)), // or eax, bits
    wrmsr,
  ];
}

const enterX2apic = changeBase(0xffff_ffff, ENABLE | EXTD);
/** From x2APIC to xAPIC mode there is no way but through the disabled APIC. */
const leaveX2apic = [...changeBase(~(ENABLE | EXTD), 0), ...changeBase(0xffff_ffff, ENABLE)];

/** A guest of vCPU 0 alone, to its end: its exits before that. */
async function run(ctx: CheckContext, code: readonly Instruction[], options: MachineOptions = {}): Promise<Exit[]> {
  return runOn(await ctx.machine(options), code);
}

async function runOn(machine: Machine, code: readonly Instruction[]): Promise<Exit[]> {
  machine.vcpu(0).program(flat32(...code, out8(DONE_PORT)));
  return [...(await runUntilDone(machine))].slice(0, -1).map(({ exit }) => exit);
}

/** An IPI of which something comes out: how much, and what it says, is the claim of others. */
function expectForwarded(ctx: CheckContext, exits: readonly Exit[]): void {
  ctx.ok(forwardedExits(exits).length > 0, 'no write of ICR2 or ICR came out');
}

/** An exit without what a kernel with the series adds. */
const isOther = ({ name }: Exit) => name !== 'KVM_EXIT_DSM_SEND_IRQ';

/** Memory accesses that came out, in words. */
function mmio(exits: readonly Exit[]): string[] {
  return exits.filter(isOther).map((exit) => {
    if (exit.name !== 'KVM_EXIT_MMIO') return exit.name;
    const at = `${exit.len} bytes at 0x${exit.physAddr.toString(16)}`;
    return exit.isWrite ? `${at} = ${Buffer.from(exit.data).toString('hex')}` : `${at} read`;
  });
}

/** How `mmio` says an IPI. */
function ipiAsMmio(base: number): string[] {
  const hex = (address: number) => `0x${address.toString(16)}`;
  return [
    `4 bytes at ${hex(base + lapicRegisters.ICR2)} = 00000077`,
    `4 bytes at ${hex(base + lapicRegisters.ICR)} = 61400000`,
  ];
}

/** Moves a vCPU's APIC page as a VMM does. */
function moveApic(machine: Machine, id: number, to: number): void {
  const { vcpu } = machine.vcpu(id);
  const sregs = vcpu.getSregs();
  vcpu.setSregs({ ...sregs, apicBase: BigInt(to) | (sregs.apicBase & 0xfffn) });
}

function setApicBaseBits(machine: Machine, id: number, change: (base: bigint) => bigint): void {
  const { vcpu } = machine.vcpu(id);
  const sregs = vcpu.getSregs();
  vcpu.setSregs({ ...sregs, apicBase: change(sregs.apicBase) });
}

/** A machine whose kernel hands out what is written to an APIC page without an APIC. */
async function withoutHole(ctx: CheckContext, options: MachineOptions = {}): Promise<Machine> {
  const machine = await ctx.machine(options);
  machine.vm.enableCap('KVM_CAP_DISABLE_QUIRKS2', [BigInt(KVM_X86_QUIRK_LAPIC_MMIO_HOLE)]);
  return machine;
}

/** The vectors that wait in a vCPU that has not run. */
const waiting = (machine: Machine, id: number) => machine.vcpu(id).vcpu.lapic().irr;

const irqchips = ['full', 'split'] as const;

/** Ways from xAPIC mode into one and back. */
const roundTrips = [
  ['x2apic', 'x2APIC mode', [x2apic], [...enterX2apic, ...leaveX2apic]],
  ['disabled', 'the disabled state', [], [...changeBase(~ENABLE, 0), ...changeBase(0xffff_ffff, ENABLE)]],
  ['moved', 'another place', [], [...changeBase(0xfff, MOVED), ...changeBase(0xfff, APIC_DEFAULT_PHYS_BASE)]],
] as const;

const enableBySvr = (base = APIC_DEFAULT_PHYS_BASE) => write32(base + lapicRegisters.SVR, 0x1ff);

export const modes = subject('modes', 'where the local APIC is, and in which state', [
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
      // KVM leaves a vCPU out of its map of destinations until something of a local APIC changes behind its making.
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
  {
    id: 'modes.x2apic.page.silent',
    claim: 'In x2APIC mode, writes to where the APIC page was go nowhere: no exit, and no IPI',
    source: QUIRK,
    needs: [x2apic],
    async run(ctx) {
      const machine = await ctx.machine({ vcpus: 2, apic: 'xapic' });
      const exits = await runOn(machine, [...enterX2apic, ...ipi(1)]);
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
]);

/** Runs one vCPU of a machine, and no other, to its end. */
function finish(ctx: CheckContext, machine: Machine, id: number): void {
  for (let exits = 0; exits < 64; exits++) {
    const exit = machine.vcpu(id).vcpu.run({ profile: ctx.profile });
    if (exit.name !== 'KVM_EXIT_IO' || exit.port !== DONE_PORT) continue;
    ctx.effect(`vCPU ${id} came to its end`);
    return;
  }
  ctx.fail(`vCPU ${id} did not come to its end`);
}
