import { ArgumentError } from '../../errors.ts';
import { bitsOf, type GuestMode } from '../code.ts';
import { iced } from './iced.ts';

export interface DisassembleOptions {
  /** How the CPU reads the bytes. Default flat32. */
  mode?: GuestMode;
  /** The address of the first byte. Default 0. */
  origin?: number | bigint;
  /** How many instructions at most. Default: all. */
  count?: number;
}

/** One instruction. */
export interface DisassembledLine {
  readonly address: bigint;
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
  const origin = BigInt.asUintN(64, BigInt(checkOrigin(options.origin ?? 0)));
  const bits = bitsOf(options.mode ?? 'flat32');
  const count = options.count ?? Number.POSITIVE_INFINITY;
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
      const text = instruction.isInvalid ? data(own) : correct(formatter.format(instruction));
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
  return formatter;
}

/** What iced-x86 writes otherwise than NASM reads it. */
function correct(text: string): string {
  return text;
}

function data(bytes: Uint8Array): string {
  return `db ${[...bytes].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(', ')}`;
}

function checkOrigin(origin: number | bigint): number | bigint {
  if (typeof origin === 'bigint' ? origin >= 0n : Number.isSafeInteger(origin) && origin >= 0) return origin;
  throw new ArgumentError('origin', `origin ${origin} is no address`, 'Use an integer from 0 up.');
}
