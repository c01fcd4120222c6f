/** One instruction, in the form that was chosen for it, as bytes. */
import type { Instruction } from 'iced-x86';
import type { Memory } from './effective-address.ts';
import { sizePrefixes } from './form.ts';
import { iced } from './iced.ts';
import type { Candidate } from './match.ts';
import type { Operand } from './operand.ts';
import type { Register } from './registers.ts';
import type { Bits, Prefixes } from './syntax.ts';

/** The bytes of an instruction at this address. Throws whatever iced-x86 does if it has no encoding for it. */
export function encode(candidate: Candidate, prefixes: Prefixes, bits: Bits, address: bigint): Uint8Array {
  const bytes = encodeForm(candidate, prefixes, bits, address);
  const whole = order(bytes, candidate, prefixes, bits);
  const added = whole.length - bytes.length;
  if (added === 0) return whole;
  // A distance counts from the end of the instruction, which the prefixes have moved.
  return order(encodeForm(candidate, prefixes, bits, address + BigInt(added)), candidate, prefixes, bits);
}

function encodeForm(candidate: Candidate, prefixes: Prefixes, bits: Bits, address: bigint): Uint8Array {
  const { Encoder, Instruction } = iced();
  const instruction = new Instruction();
  const encoder = new Encoder(bits);
  try {
    fill(instruction, candidate, prefixes, bits);
    encoder.encode(instruction, address);
    return encoder.takeBuffer();
  } finally {
    encoder.free();
    instruction.free();
  }
}

function fill(instruction: Instruction, { form, operands }: Candidate, prefixes: Prefixes, bits: Bits): void {
  instruction.code = form.code;
  const addressSize = prefixes.addressSize ?? bits;
  let immediates = 0;
  form.kinds.forEach((kind, index) => {
    const explicit = form.explicit.indexOf(index);
    if (explicit < 0) setImplied(instruction, index, kind, addressSize);
    else if (setExplicit(instruction, index, kind, operands[explicit]!, bits, immediates)) immediates++;
  });
  const { repeat, lock, segment } = prefixes;
  if (repeat === 'repne') instruction.hasRepnePrefix = true;
  else if (repeat) instruction.hasRepPrefix = true;
  if (lock) instruction.hasLockPrefix = true;
  if (segment) instruction.segmentPrefix = registerOf(segment);
}

/** An operand that goes without saying. */
function setImplied(instruction: Instruction, index: number, kind: string, addressSize: number): void {
  const { OpKind, Register } = iced();
  const letter = { 16: '', 32: 'E', 64: 'R' }[addressSize as Bits];
  const strings: Record<string, string> = {
    es_rDI: `MemoryES${letter}DI`,
    seg_rSI: `MemorySeg${letter}SI`,
    seg_rDI: `MemorySeg${letter}DI`,
  };
  const memory = strings[kind];
  if (memory !== undefined) {
    instruction.setOpKind(index, OpKind[memory as keyof typeof OpKind]);
  } else if (kind === 'seg_rBX_al') {
    instruction.setOpKind(index, OpKind.Memory);
    instruction.memoryBase = Register[`${letter}BX` as keyof typeof Register];
    instruction.memoryIndex = Register.AL;
  } else {
    instruction.setOpKind(index, OpKind.Register);
    instruction.setOpRegister(index, Register[kind.toUpperCase() as keyof typeof Register]);
  }
}

/** True for an immediate. */
function setExplicit(
  instruction: Instruction,
  index: number,
  kind: string,
  operand: Operand,
  bits: Bits,
  immediates: number,
): boolean {
  const { OpKind } = iced();
  switch (operand.kind) {
    case 'register':
      instruction.setOpKind(index, OpKind.Register);
      instruction.setOpRegister(index, registerOf(operand.register));
      return false;
    case 'memory':
      instruction.setOpKind(index, OpKind.Memory);
      setMemory(instruction, operand.memory, kind === 'mem_offs');
      return false;
    case 'pointer': {
      const short = kind.startsWith('farbr2');
      instruction.setOpKind(index, short ? OpKind.FarBranch16 : OpKind.FarBranch32);
      instruction.farBranchSelector = Number(BigInt.asUintN(16, operand.selector.number));
      if (short) instruction.farBranch16 = Number(BigInt.asUintN(16, operand.offset.number));
      else instruction.farBranch32 = Number(BigInt.asUintN(32, operand.offset.number));
      return false;
    }
    case 'immediate':
      if (kind.startsWith('imm')) setImmediate(instruction, index, kind, operand.value.number, immediates > 0);
      else setBranch(instruction, index, kind, operand.value.number, bits);
      return kind.startsWith('imm');
  }
}

function setMemory(instruction: Instruction, memory: Memory, direct: boolean): void {
  const { Register } = iced();
  const { base, index, scale, displacement, addressSize, segment } = memory;
  if (segment) instruction.segmentPrefix = registerOf(segment);
  if (memory.ripRelative) {
    instruction.memoryBase = addressSize === 64 ? Register.RIP : Register.EIP;
    instruction.memoryDisplacementU64 = BigInt.asUintN(64, displacement.number);
    instruction.memoryDisplSize = addressSize / 8;
    return;
  }
  if (base) instruction.memoryBase = registerOf(base);
  if (index) instruction.memoryIndex = registerOf(index);
  instruction.memoryIndexScale = scale;
  // Where only a sign-extended number could be an absolute address and it is none, a 32-bit address says what is meant:
  // 0xfee00300 is not 0xfffffffffee00300.
  const zeroExtended = addressSize === 64 && !base && !index && !direct && displacement.number >> 31n === 1n;
  const width = zeroExtended ? 32 : addressSize;
  const number = BigInt.asIntN(width, displacement.number);
  instruction.memoryDisplacementU64 = BigInt.asUintN(width, number);
  instruction.memoryDisplSize = base ? displacementSize(memory, number, width / 8) : width / 8;
}

function displacementSize(memory: Memory, number: bigint, full: number): number {
  const { displacementSize: wanted, displacement, base, index, addressSize } = memory;
  if (wanted === 1) return 1;
  if (wanted === 'full') return full;
  // A label's address may change with the load address: NASM gives it the full size.
  const isByte = displacement.relative === 0n && number === BigInt.asIntN(8, number);
  if (!isByte) return full;
  // Without a displacement these registers' places in the tables mean something else.
  const mustBe = addressSize === 16 ? base!.number === 5 && !index : (base!.number & 7) === 5;
  return number === 0n && !mustBe ? 0 : 1;
}

function setImmediate(instruction: Instruction, index: number, kind: string, number: bigint, second: boolean): void {
  const { OpKind } = iced();
  const unsigned = (width: number) => Number(BigInt.asUintN(width, number));
  const byte = BigInt.asIntN(8, number);
  switch (kind) {
    case 'imm8sex16':
      instruction.setOpKind(index, OpKind.Immediate8to16);
      instruction.immediate8to16 = Number(byte);
      break;
    case 'imm8sex32':
      instruction.setOpKind(index, OpKind.Immediate8to32);
      instruction.immediate8to32 = Number(byte);
      break;
    case 'imm8sex64':
      instruction.setOpKind(index, OpKind.Immediate8to64);
      instruction.immediate8to64 = byte;
      break;
    case 'imm16':
      instruction.setOpKind(index, OpKind.Immediate16);
      instruction.immediate16 = unsigned(16);
      break;
    case 'imm32':
      instruction.setOpKind(index, OpKind.Immediate32);
      instruction.immediate32 = unsigned(32);
      break;
    case 'imm32sex64':
      instruction.setOpKind(index, OpKind.Immediate32to64);
      instruction.immediate32to64 = BigInt.asIntN(32, number);
      break;
    case 'imm64':
      instruction.setOpKind(index, OpKind.Immediate64);
      instruction.immediate64 = BigInt.asUintN(64, number);
      break;
    default:
      instruction.setOpKind(index, second ? OpKind.Immediate8_2nd : OpKind.Immediate8);
      if (second) instruction.immediate8_2nd = unsigned(8);
      else instruction.immediate8 = unsigned(8);
  }
}

function setBranch(instruction: Instruction, index: number, kind: string, target: bigint, bits: Bits): void {
  const { OpKind } = iced();
  const width = Number(/^br(\d+)/.exec(kind)?.[1] ?? bits);
  if (width === 16) {
    instruction.setOpKind(index, OpKind.NearBranch16);
    instruction.nearBranch16 = Number(BigInt.asUintN(16, target));
  } else if (width === 32) {
    instruction.setOpKind(index, OpKind.NearBranch32);
    instruction.nearBranch32 = Number(BigInt.asUintN(32, target));
  } else {
    instruction.setOpKind(index, OpKind.NearBranch64);
    instruction.nearBranch64 = BigInt.asUintN(64, target);
  }
}

function registerOf({ iced: name }: Register): number {
  const { Register } = iced();
  return Register[name as keyof typeof Register];
}

const segmentBytes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
const legacy = new Set([...segmentBytes, 0x66, 0x67, 0xf0, 0xf2, 0xf3]);

/** The prefixes in NASM's order, and those that the text asks for though nothing needs them. */
function order(bytes: Uint8Array, { form }: Candidate, prefixes: Prefixes, bits: Bits): Uint8Array {
  let count = 0;
  while (count < bytes.length && legacy.has(bytes[count]!)) count++;
  const found = [...bytes.subarray(0, count)];
  const { operandSize, addressSize } = prefixes;
  const natural = bits === 16 ? 16 : 32;
  const mandatory66 = form.mandatoryPrefix === 0x66;
  const sixes = found.filter((byte) => byte === 0x66).length - (mandatory66 ? 1 : 0);
  if (operandSize !== undefined && operandSize !== 64 && operandSize !== natural && sixes < 1) found.push(0x66);
  if (addressSize !== undefined && addressSize !== bits && !found.includes(0x67)) found.push(0x67);
  const rank = (byte: number) => {
    if (byte === 0xf2 || byte === 0xf3) return byte === form.mandatoryPrefix ? 6 : 0;
    if (byte === 0xf0) return 1;
    if (byte === 0x66) return mandatory66 ? 5 : 3;
    return byte === 0x67 ? 4 : 2;
  };
  found.sort((a, b) => rank(a) - rank(b));
  return Uint8Array.from([...found, ...bytes.subarray(count)]);
}

/** Prefix bytes that the text asks for by name, as far as they lengthen a jump. */
export function namedPrefixes(
  { form }: Candidate,
  { repeat, lock, segment, operandSize, addressSize }: Prefixes,
  bits: Bits,
): number {
  const natural = bits === 16 ? 16 : 32;
  const extra = operandSize !== undefined && operandSize !== 64 && operandSize !== natural;
  const counted = sizePrefixes(form, bits);
  const sizes = (extra ? 1 : 0) + (addressSize !== undefined && addressSize !== bits ? 1 : 0);
  return (repeat ? 1 : 0) + (lock ? 1 : 0) + (segment ? 1 : 0) + Math.max(0, sizes - counted);
}
