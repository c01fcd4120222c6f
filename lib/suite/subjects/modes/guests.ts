/** Guests that send an IPI from some mode of their local APIC, and what is left of it. */

import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../../../abi/apic/lapic.ts';
import { IA32_APIC_BASE } from '../../../abi/apic/msr.ts';
import { KVM_X86_QUIRK_LAPIC_MMIO_HOLE } from '../../../abi/kvm/capability.ts';
import { isDsmExit } from '../../../exit/dsm.ts';
import type { Exit } from '../../../exit/exit.ts';
import { flat32, type Instruction, mov32, out8, rdmsr, write32, wrmsr } from '../../../guest/bytes.ts';
import type { Machine, MachineOptions } from '../../../script/machine/machine.ts';
import { andEax, orEax } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { forwardedExits } from '../../kit/forwarded-writes.ts';
import { DONE_PORT, runUntilDone } from '../../kit/guests.ts';

export const QUIRK = 'Documentation/virt/kvm/api.rst 7.31, KVM_X86_QUIRK_LAPIC_MMIO_HOLE';

/** No vCPU has it. */
export const ABSENT = 0x77;
export const VECTOR = 0x61;
export const MOVED = 0xfed0_0000;
export const ENABLE = 1 << 11;

/** One IPI by the APIC page. */
export function ipi(destination: number, { base = APIC_DEFAULT_PHYS_BASE, icr = 0x4000 | VECTOR } = {}): Instruction[] {
  return [write32(base + lapicRegisters.ICR2, destination * 2 ** 24), write32(base + lapicRegisters.ICR, icr)];
}

/** `wrmsr` of IA32_APIC_BASE, after this: and its value's bits are `eax & mask | bits`. */
export function changeBase(mask: number, bits: number): Instruction[] {
  return [mov32('ecx', IA32_APIC_BASE), rdmsr, andEax(mask), orEax(bits), wrmsr];
}

/** A guest of vCPU 0 alone, to its end: its exits before that. */
export async function run(
  ctx: CheckContext,
  code: readonly Instruction[],
  options: MachineOptions = {},
): Promise<Exit[]> {
  return runOn(await ctx.machine(options), code);
}

export async function runOn(machine: Machine, code: readonly Instruction[]): Promise<Exit[]> {
  machine.vcpu(0).program(flat32(...code, out8(DONE_PORT)));
  return [...(await runUntilDone(machine))].slice(0, -1).map(({ exit }) => exit);
}

/** An IPI of which something comes out: how much, and what it says, is the claim of others. */
export function expectForwarded(ctx: CheckContext, exits: readonly Exit[]): void {
  ctx.ok(forwardedExits(exits).length > 0, 'no write of ICR2 or ICR came out');
}

/** An exit without what a kernel with the series adds. */
const isOther = (exit: Exit) => !isDsmExit(exit);

/** Memory accesses that came out, in words. */
export function mmio(exits: readonly Exit[]): string[] {
  return exits.filter(isOther).map((exit) => {
    if (exit.name !== 'KVM_EXIT_MMIO') return exit.name;
    const at = `${exit.len} bytes at 0x${exit.physAddr.toString(16)}`;
    return exit.isWrite ? `${at} = ${Buffer.from(exit.data).toString('hex')}` : `${at} read`;
  });
}

/** How `mmio` says an IPI. */
export function ipiAsMmio(base: number): string[] {
  const hex = (address: number) => `0x${address.toString(16)}`;
  return [
    `4 bytes at ${hex(base + lapicRegisters.ICR2)} = 00000077`,
    `4 bytes at ${hex(base + lapicRegisters.ICR)} = 61400000`,
  ];
}

/** A machine whose kernel hands out what is written to an APIC page without an APIC. */
export async function withoutHole(ctx: CheckContext, options: MachineOptions = {}): Promise<Machine> {
  const machine = await ctx.machine(options);
  machine.vm.enableCap('KVM_CAP_DISABLE_QUIRKS2', [BigInt(KVM_X86_QUIRK_LAPIC_MMIO_HOLE)]);
  return machine;
}

/** The vectors that wait in a vCPU that has not run. */
export const waiting = (machine: Machine, id: number) => machine.vcpu(id).vcpu.lapic().irr;
