/** The assembler's front: tagged templates of NASM text. */

import { readFileSync } from 'node:fs';
import { checkBytes } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import type { FileUrl } from '../../base/node-shapes.ts';
import { show } from '../../base/text.ts';
import { bitsOf, type GuestCode, type GuestMode } from '../code.ts';
import { PayloadError } from '../errors.ts';
import { formatOf } from '../formats.ts';
import type { Snippet } from '../snippet.ts';
import { AsmCode } from './code.ts';
import { type Inlined, interpolate, Source } from './source.ts';

/** What can stand between `${` and `}`: numbers, text, snippets (a list of them, too), and on a line of their own (or behind db) bytes and code. */
export type AsmValue = number | bigint | string | Snippet | readonly (string | Snippet)[] | Uint8Array | GuestCode;

/** A template's tag, or a function of a whole text. */
export interface Assembler {
  (strings: TemplateStringsArray, ...values: readonly AsmValue[]): AsmCode;
  (text: string): AsmCode;
}

function assembler(mode: GuestMode): Assembler {
  return (text: TemplateStringsArray | string, ...values: readonly AsmValue[]) => {
    if (typeof text === 'string') return AsmCode.from(mode, new Source(text));
    if (!Array.isArray(text) || !Array.isArray(text.raw))
      throw new ArgumentError('text', `text is ${show(text)}, neither text nor a template`, 'Give the code as text.');
    // In a template a backslash is one, but before a backtick it is what lets the backtick be there.
    const strings = text.raw.map((part) => part.replaceAll('\\`', '`'));
    return AsmCode.from(mode, interpolate(strings, values, bitsOf(mode), inline));
  };
}

function inline(value: unknown): Inlined | undefined {
  if (value instanceof Uint8Array) {
    const bytes = value.slice();
    return { at: () => bytes, bits: undefined };
  }
  if (!isGuestCode(value)) return undefined;
  return { at: (address) => (value.at?.(address) ?? value).bytes, bits: bitsOf(value.mode) };
}

function isGuestCode(value: unknown): value is GuestCode {
  return (
    typeof value === 'object' &&
    value !== null &&
    'mode' in value &&
    'bytes' in value &&
    value.bytes instanceof Uint8Array
  );
}

function machineCode(bytes: Uint8Array, mode: GuestMode, path?: string): GuestCode {
  bitsOf(mode);
  if (checkBytes('bytes', bytes, 0, Number.POSITIVE_INFINITY).length === 0) throw PayloadError.empty();
  const format = formatOf(bytes);
  if (format) throw PayloadError.format(format, path);
  return { mode, bytes: Uint8Array.from(bytes) };
}

/**
 * Makes guest code of NASM-like text; docs/assembler.md describes the dialect.
 *
 * @example
 * const ICR = 0xfee0_0300;
 * const code = asm.flat32`
 *     mov dword [${ICR}], 0x40f0
 * .wait:
 *     jmp .wait
 * `;
 * @throws AsmError with line, column and advice
 */
export const asm = {
  /** 16-bit code for real mode. */
  real16: assembler('real16'),
  /** 32-bit code for protected mode. */
  flat32: assembler('flat32'),
  /** 64-bit code. */
  long64: assembler('long64'),

  /**
   * Machine code from elsewhere: it is loaded as it is.
   *
   * @throws PayloadError if it is empty, or a file of another kind: ELF, text, compressed, ...; ArgumentError
   */
  bytes(bytes: Uint8Array, mode: GuestMode = 'flat32'): GuestCode {
    return machineCode(bytes, mode);
  },

  /**
   * A flat binary file, such as `nasm -f bin` writes.
   *
   * @throws PayloadError if it is empty, or a file of another kind: ELF, text, compressed, ...; ArgumentError; what `readFileSync` throws
   */
  file(path: string | FileUrl, mode: GuestMode = 'flat32'): GuestCode {
    // readFileSync takes a file descriptor as well.
    if (typeof path !== 'string' && !(path instanceof URL))
      throw new ArgumentError('path', `path is ${show(path)}, neither text nor a URL`, 'Give the path of a file.');
    return machineCode(readFileSync(path), mode, String(path));
  },
} as const;
