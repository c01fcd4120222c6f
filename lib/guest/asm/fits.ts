/** Whether the values of an instruction have room in a form of it, and what to say if not. */
import { hex } from '../../base/text.ts';
import { type Form, sizePrefixes } from './form.ts';
import type { Candidate } from './match.ts';
import type { Operand } from './operand.ts';
import type { Bits } from './syntax.ts';
import { dependsOnPlace, type Value } from './value.ts';

/** Why a value does not fit. */
export interface Misfit {
  readonly operand: Operand;
  readonly reason: string;
  readonly advice: string;
  /** At another load address it could fit. */
  readonly addressDependent: boolean;
}

/** Where an instruction lies, and how many prefixes its text has. */
export interface Position {
  readonly address: bigint;
  readonly bits: Bits;
  readonly prefixes: number;
}

/** The first operand whose value has no room in the form; a value that is not known yet has. */
export function misfit({ form, operands, narrowed }: Candidate, position: Position): Misfit | undefined {
  for (const [index, operand] of operands.entries()) {
    const kind = form.kinds[form.explicit[index]!]!;
    if (operand.kind === 'immediate') {
      const found = kind.startsWith('imm')
        ? (labelMisfit(form, operands[0]!, operand) ?? immediateMisfit(kind, operand, form.operandSize, narrowed))
        : branchMisfit(kind, operand, form, position);
      if (found) return portMisfit(form, found) ?? found;
    } else if (operand.kind === 'pointer') {
      const found = pointerMisfit(kind, operand);
      if (found) return found;
    } else if (operand.kind === 'memory') {
      const found = displacementMisfit(operand, kind === 'mem_offs');
      if (found) return found;
    }
  }
  return undefined;
}

/** A port's number is a byte, and that of a serial line is not. */
function portMisfit({ name }: Form, found: Misfit): Misfit | undefined {
  if (!/^(In|Out)_/.test(name)) return undefined;
  return { ...found, advice: 'A port above 0xff goes into dx: mov dx, 0x3f8, then out dx, al.' };
}

/** `mov rax, label` takes 64 bits, wherever the label comes to lie. */
function labelMisfit(
  { name }: Form,
  target: Operand,
  operand: Extract<Operand, { kind: 'immediate' }>,
): Misfit | undefined {
  const whole = name === 'Mov_rm64_imm32' && target.kind === 'register' && operand.qualifiers.size === undefined;
  return whole && operand.value.relative !== 0n ? tooWide(operand, operand.value, '32 bits') : undefined;
}

function immediateMisfit(
  kind: string,
  operand: Extract<Operand, { kind: 'immediate' }>,
  operandSize: number,
  narrowed: boolean,
): Misfit | undefined {
  const { value, qualifiers } = operand;
  if (!value.known || kind === 'imm8_const_1') return undefined;
  const width = Number(/^imm(\d+)/.exec(kind)![1]);
  const extended = Number(/sex(\d+)$/.exec(kind)?.[1] ?? 0);
  if (extended === 0) {
    const room = narrowed ? 0n <= value.number && value.number < 1n << 32n : hasRoom(value.number, width);
    return room ? undefined : tooWide(operand, value, `${width} bits`);
  }
  // A label's address may change with the load address: NASM never puts it into a byte, unless told to.
  if (value.relative !== 0n && width === 8 && qualifiers.size !== 1) return tooWide(operand, value, 'a byte');
  const size = extended === 64 ? 64 : operandSize || extended;
  if (!hasRoom(value.number, size)) return tooWide(operand, value, `${size} bits`);
  const number = BigInt.asIntN(size, value.number);
  return number === BigInt.asIntN(width, number)
    ? undefined
    : tooWide(operand, value, `${width} bits that are sign-extended`);
}

/** Both a signed and an unsigned number may be meant, and `~x` of an unsigned one. */
export function hasRoom(number: bigint, width: number): boolean {
  return width >= 64 || (-(1n << BigInt(width)) <= number && number < 1n << BigInt(width));
}

function tooWide(operand: Operand, value: Value, room: string): Misfit {
  const { number } = value;
  const extended = room.includes('sign');
  return {
    operand,
    reason: `${hex(number)} does not fit into ${room}`,
    advice: extended
      ? 'Load it into a register first: mov takes 64 bits.'
      : 'Use a smaller number, or a wider operand.',
    addressDependent: dependsOnPlace(value),
  };
}

function branchMisfit(
  kind: string,
  operand: Extract<Operand, { kind: 'immediate' }>,
  form: Form,
  { address, bits, prefixes }: Position,
): Misfit | undefined {
  const { value, qualifiers } = operand;
  if (!value.known) return undefined;
  const [, operandSize, bytes] = /^(?:br(\d+)|xbegin)_(\d)$/.exec(kind) ?? [];
  const short = bytes === '1';
  // NASM does not know how far away a number is, and takes no chance.
  if (short && value.relative !== 1n && qualifiers.distance !== 'short' && !/^(Loop|J.?cxz)/.test(form.name))
    return { operand, reason: 'A number is no place near here', advice: 'Write short.', addressDependent: false };
  const width = Number(operandSize ?? bits);
  const distance = value.number - (address + BigInt(form.length + sizePrefixes(form, bits) + prefixes));
  const wrapped = width === 64 ? distance : BigInt.asIntN(width, distance);
  const reach = BigInt(Number(bytes) * 8);
  if (width !== 64 && !hasRoom(value.number, width)) return tooWide(operand, value, `${width} bits`);
  if (wrapped === BigInt.asIntN(Number(reach), wrapped)) return undefined;
  return {
    operand,
    reason: `The target ${hex(value.number)} is ${wrapped} bytes away, too far for a ${short ? 'short' : 'near'} jump`,
    advice: short
      ? 'A short jump reaches 127 bytes: use a near jump (for loop: dec and jnz).'
      : 'Jump through a register.',
    addressDependent: value.relative !== 1n,
  };
}

function pointerMisfit(kind: string, operand: Extract<Operand, { kind: 'pointer' }>): Misfit | undefined {
  const { selector, offset } = operand;
  const width = kind.startsWith('farbr2') ? 16 : 32;
  if (selector.known && !hasRoom(selector.number, 16)) return tooWide(operand, selector, '16 bits');
  if (!offset.known || hasRoom(offset.number, width)) return undefined;
  return { ...tooWide(operand, offset, `${width} bits`), advice: 'Write dword before the pointer.' };
}

function displacementMisfit(operand: Extract<Operand, { kind: 'memory' }>, direct: boolean): Misfit | undefined {
  const { memory } = operand;
  const { number, known } = memory.displacement;
  if (!known || memory.ripRelative || (direct && memory.addressSize === 64)) return undefined;
  if (memory.displacementSize === 1 && number !== BigInt.asIntN(8, number))
    return tooWide(operand, memory.displacement, 'a byte');
  if (memory.addressSize !== 64)
    return hasRoom(number, memory.addressSize)
      ? undefined
      : addressMisfit(operand, memory.displacement, `${memory.addressSize} bits`);
  if (number === BigInt.asIntN(32, number)) return undefined;
  if (!memory.base && !memory.index && number >> 32n === 0n) return undefined; // by a 32-bit address, see encode.ts
  return addressMisfit(operand, memory.displacement, '32 bits that are sign-extended');
}

function addressMisfit(operand: Operand, value: Value, room: string): Misfit {
  return {
    operand,
    reason: `The address ${hex(value.number)} does not fit into ${room}`,
    addressDependent: dependsOnPlace(value),
    advice: room.includes('sign')
      ? 'Load it into a register: mov rbx, address, then [rbx]; or for al, ax, eax, rax write [qword address].'
      : 'Use a 32-bit address ([dword x]) or a register.',
  };
}
