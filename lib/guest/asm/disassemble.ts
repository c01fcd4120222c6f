/** Bytes to instructions in NASM's words. */
import type { Instruction } from 'iced-x86';
import { checkBytes } from '../../base/check.ts';
import { integer, oneOf, optional, shape, u64 } from '../../base/shape.ts';
import { hex } from '../../base/text.ts';
import { bitsOf, type GuestMode, guestModes } from '../code.ts';
import { iced } from './iced.ts';
import type { Bits } from './syntax.ts';

/** How `disassemble()` reads the bytes. */
export interface DisassembleOptions {
  /** How the CPU reads the bytes. Default flat32. */
  mode?: GuestMode;
  /** The address of the first byte. Default 0. */
  origin?: number | bigint;
  /** How many instructions at most. Default: all. */
  count?: number;
}

const disassembleOptions = shape<DisassembleOptions>('disassemble() takes', {
  mode: optional(oneOf(guestModes)),
  origin: optional(u64),
  count: optional(integer(0, Number.MAX_SAFE_INTEGER)),
});

/** One instruction. */
export interface DisassembledLine {
  /** Where it lies, counted from `origin`. */
  readonly address: bigint;
  /** Its own, 1 to 15. */
  readonly bytes: Uint8Array;
  /** In NASM's syntax; `db ...` for bytes that are no instruction. */
  readonly text: string;
}

/**
 * Makes text of machine code. The decoder is loaded by the first call, which takes some tens of milliseconds.
 *
 * @throws ArgumentError
 */
export function disassemble(bytes: Uint8Array, options: DisassembleOptions = {}): DisassembledLine[] {
  checkBytes('bytes', bytes, 0, Number.POSITIVE_INFINITY);
  const { mode = 'flat32', count = Number.POSITIVE_INFINITY, ...more } = disassembleOptions.take(options);
  const origin = BigInt(more.origin ?? 0);
  const bits = bitsOf(mode);
  const { Decoder, DecoderOptions } = iced();
  const decoder = new Decoder(bits, bytes, DecoderOptions.None);
  const formatter = nasmFormatter();
  const lines: DisassembledLine[] = [];
  try {
    decoder.ip = origin;
    while (decoder.canDecode && lines.length < count) {
      const start = decoder.position;
      const instruction = decoder.decode();
      const own = bytes.slice(start, decoder.position);
      const text = instruction.isInvalid ? data(own) : correct(formatter.format(instruction), instruction, bits);
      lines.push({ address: BigInt.asUintN(64, origin + BigInt(start)), bytes: own, text });
      instruction.free();
    }
  } finally {
    decoder.free();
    formatter.free();
  }
  return lines;
}

function nasmFormatter() {
  const { Formatter, FormatterSyntax } = iced();
  const formatter = new Formatter(FormatterSyntax.Nasm);
  formatter.hexPrefix = '0x';
  formatter.hexSuffix = '';
  formatter.uppercaseHex = false;
  formatter.spaceAfterOperandSeparator = true;
  formatter.smallHexNumbersInDecimal = true;
  formatter.ripRelativeAddresses = false;
  formatter.showUselessPrefixes = true;
  formatter.usePseudoOps = false;
  formatter.branchLeadingZeros = false;
  return formatter;
}

/** Completes what iced-x86's text does not say, so that the text stands for these bytes only. */
function correct(text: string, instruction: Instruction, bits: Bits): string {
  const { Code } = iced();
  if (text.startsWith('invlpga ')) return 'invlpga';
  const sized = withImmediateSize(text, instruction);
  const pushesWord = instruction.code === Code.Push_imm16 && bits !== 16 && sized === text && !text.startsWith('o16 ');
  return withAddressSize(pushesWord ? text.replace('push ', 'push word ') : sized, instruction, bits);
}

/** `[0x1234]` with an address size that is not the mode's. */
function withAddressSize(text: string, instruction: Instruction, bits: Bits): string {
  const { OpKind, Register } = iced();
  const kinds = Array.from({ length: instruction.opCount }, (_, index) => instruction.opKind(index));
  const bare = instruction.memoryBase === Register.None && instruction.memoryIndex === Register.None;
  const size = instruction.memoryDisplSize * 8;
  if (!bare || !kinds.includes(OpKind.Memory) || size === bits || /\[(?:word|dword|qword|a\d\d) /.test(text))
    return text;
  return text.replace('[', `[a${size} `);
}

const shorter = /^(?:Add|Or|Adc|Sbb|And|Sub|Xor|Cmp|Imul|Push[dq]?)_.*imm(?:16|32)$/;

/** A number in more bytes than it needs. */
function withImmediateSize(text: string, instruction: Instruction): string {
  const { Code, OpKind } = iced();
  const name = Code[instruction.code]!;
  const last = instruction.opCount - 1;
  const isRegister = last > 0 && instruction.opKind(0) === OpKind.Register;
  const strict = (size: string) => text.replace(/(?:[a-z]*word )?(\S+)$/, `strict ${size} $1`);
  if (name === 'Mov_r64_imm64') {
    const number = BigInt.asIntN(64, instruction.immediate(1));
    return number >> 32n === 0n || number >> 31n === -1n ? strict('qword') : text;
  }
  if (name === 'Mov_rm64_imm32' && isRegister && instruction.immediate(1) >> 31n === 0n) return strict('dword');
  if (/^(?:R[oc][lr]|S[ha][lr])_.*_imm8$/.test(name) && instruction.immediate(last) === 1n)
    return text.replace(/1$/, 'byte 1');
  if (!shorter.test(name)) return text;
  const number = instruction.immediate(last);
  const word = name.endsWith('imm16');
  const signed = BigInt.asIntN(word ? 16 : 32, number);
  return signed === BigInt.asIntN(8, number) ? strict(word ? 'word' : 'dword') : text;
}

function data(bytes: Uint8Array): string {
  return `db ${[...bytes].map((byte) => hex(byte, 2)).join(', ')}`;
}
