/** Instructions of flat32 code as bytes, for guests that need no assembler. */
import { checkBytes, checkChoice } from '../base/check.ts';
import { ArgumentError } from '../base/errors.ts';
import { hex, show } from '../base/text.ts';
import type { GuestCode } from './code.ts';
import { PayloadError } from './errors.ts';

/** One instruction, encoded. */
export type Instruction = Uint8Array;

/**
 * Puts instructions (or raw bytes) one behind the other: 32-bit code that is the same at every address.
 *
 * @throws PayloadError for an empty payload
 */
export function flat32(...instructions: readonly Instruction[]): GuestCode {
  if (Object.hasOwn(Object(instructions[0]), 'raw'))
    throw new ArgumentError('instructions', 'flat32() takes encoded instructions', 'Text is for asm.flat32`...`.');
  for (const instruction of instructions) checkBytes('instructions', instruction, 0, Number.POSITIVE_INFINITY);
  // One that is empty may be detached: then it cannot be read.
  const bytes = Uint8Array.from(instructions.filter(({ length }) => length > 0).flatMap((one) => [...one]));
  if (bytes.length === 0) throw PayloadError.empty();
  return { mode: 'flat32', bytes };
}

/** `mov dword [address], value`, 10 bytes: a 32-bit write, such as one to a LAPIC register. */
export function write32(address: number, value: number): Instruction {
  return Uint8Array.of(0xc7, 0x05, ...le32('address', address), ...le32('value', value));
}

/** `mov word [address], value`, 9 bytes. */
export function write16(address: number, value: number): Instruction {
  const low = le32('value', checkRange('value', value, 0xffff)).slice(0, 2);
  return Uint8Array.of(0x66, 0xc7, 0x05, ...le32('address', address), ...low);
}

/** `mov eax, [address]`, 5 bytes. */
export function read32(address: number): Instruction {
  return Uint8Array.of(0xa1, ...le32('address', address));
}

/** `out port, al`, 2 bytes; port 0..255. It leaves the guest: KVM_EXIT_IO. */
export function out8(port: number): Instruction {
  return Uint8Array.of(0xe6, checkRange('port', port, 0xff));
}

/** `mov al, value; out port, al`, 4 bytes; port 0..255. */
export function out8Value(port: number, value: number): Instruction {
  return Uint8Array.of(0xb0, checkRange('value', value, 0xff), ...out8(port));
}

/** `hlt`: waits for an interrupt. */
export const hlt: Instruction = Uint8Array.of(0xf4);

/** `cli`: no interrupts from here on. */
export const cli: Instruction = Uint8Array.of(0xfa);

/** `jmp $`: spins for ever. */
export const spin: Instruction = Uint8Array.of(0xeb, 0xfe);

/** `sti`: interrupts from the instruction after the next on. */
export const sti: Instruction = Uint8Array.of(0xfb);

/** `nop`. */
export const nop: Instruction = Uint8Array.of(0x90);

/** `int3`, 1 byte: a breakpoint. */
export const int3: Instruction = Uint8Array.of(0xcc);

/** `cpuid`: leaf in eax, subleaf in ecx. */
export const cpuid: Instruction = Uint8Array.of(0x0f, 0xa2);

/** `rdmsr`: edx:eax from the MSR in ecx. */
export const rdmsr: Instruction = Uint8Array.of(0x0f, 0x32);

/** `wrmsr`: edx:eax to the MSR in ecx. */
export const wrmsr: Instruction = Uint8Array.of(0x0f, 0x30);

/** `in al, port`, 2 bytes; port 0..255. It leaves the guest: KVM_EXIT_IO. */
export function in8(port: number): Instruction {
  return Uint8Array.of(0xe4, checkRange('port', port, 0xff));
}

const registers = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'] as const;

/** `mov register, value`, 5 bytes. */
export function mov32(register: (typeof registers)[number], value: number): Instruction {
  checkChoice('register', register, registers);
  return Uint8Array.of(0xb8 + registers.indexOf(register), ...le32('value', value));
}

/** `mov [address], eax`, 5 bytes. */
export function store32(address: number): Instruction {
  return Uint8Array.of(0xa3, ...le32('address', address));
}

/** `lidt [address]`, 7 bytes: the IDTR from 6 bytes of memory. */
export function lidt(address: number): Instruction {
  return Uint8Array.of(0x0f, 0x01, 0x1d, ...le32('address', address));
}

function checkRange(argument: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new ArgumentError(argument, `${argument} ${show(value)} is not an integer from 0 to ${hex(max)}`, 'Change it.');
}

function le32(argument: string, value: number): number[] {
  checkRange(argument, value, 0xffff_ffff);
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
