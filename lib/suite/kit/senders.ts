/** Instructions that send IPIs and write MSRs. */
import type { lapicRegisters } from '../../abi/apic/lapic.ts';
import { flat32, type Instruction, mov32, out8, rdmsr, read32, store32, write32, wrmsr } from '../../guest/bytes.ts';
import type { Machine, MachineOptions } from '../../script/machine/machine.ts';
import type { CheckContext } from './context.ts';
import { at, DONE_PORT, runUntilDone } from './guests.ts';

/** ICR2 with a destination, then ICR: one IPI. */
export const send = (destination: number, icr: number): Instruction[] => [
  write32(at('ICR2'), (destination << 24) >>> 0),
  write32(at('ICR'), icr),
];

/** ICR alone: for shorthands. */
export const sendIcr = (icr: number): Instruction[] => [write32(at('ICR'), icr)];

/** WRMSR: changes ecx, eax, edx. */
export const writeMsr = (index: number, value: bigint): Instruction[] => [
  mov32('ecx', index),
  mov32('eax', Number(value & 0xffff_ffffn)),
  mov32('edx', Number(value >> 32n)),
  wrmsr,
];

/** RDMSR, and its lower 32 bits to memory: changes ecx, eax, edx. */
export const keepMsr = (index: number, to: number): Instruction[] => [mov32('ecx', index), rdmsr, store32(to)];

/** Copies 32 bits of a register to memory. */
export const keep = (register: keyof typeof lapicRegisters, to: number): Instruction[] => [
  read32(at(register)),
  store32(to),
];

/**
 * Runs instructions on vCPU 0 of a new machine: two vCPUs whose LAPICs are enabled in xAPIC mode, if nothing else is
 * said. The other vCPUs do not run: what is sent to them stays requested.
 */
export async function runSender(
  ctx: CheckContext,
  instructions: readonly Instruction[] | ((machine: Machine) => readonly Instruction[]),
  options: MachineOptions = {},
  prepare: (machine: Machine) => void = () => {},
): Promise<Machine> {
  const machine = await ctx.machine({ vcpus: 2, apic: 'xapic', ...options });
  prepare(machine);
  const list = typeof instructions === 'function' ? instructions(machine) : instructions;
  machine.vcpu(0).program(flat32(...list, out8(DONE_PORT)));
  await runUntilDone(machine);
  return machine;
}

/** The vectors that a vCPU was sent, ascending: handled, or requested and waiting. */
export function arrived(machine: Machine, id: number): number[] {
  const vcpu = machine.vcpu(id);
  const vectors = new Set([...vcpu.interrupts.keys(), ...vcpu.vcpu.lapic().irr]);
  return [...vectors].sort((a, b) => a - b);
}

/** The vcpu_ids that a vector arrived at, ascending. */
export function reached(machine: Machine, vector: number): number[] {
  return machine.vcpus.map(({ id }) => id).filter((id) => arrived(machine, id).includes(vector));
}

/** 32-bit words of guest memory. */
export function words(machine: Machine, address: number, count: number): number[] {
  return [...new Uint32Array(machine.memory.read(address, count * 4).buffer)];
}
