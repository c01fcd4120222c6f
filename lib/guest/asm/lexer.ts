/** A line of text to tokens. */
import { AsmError, type Place } from './error.ts';
import { parseNumber } from './number.ts';
import { readStandIn, type Source } from './source.ts';

/** A word of a line. */
export interface Token {
  readonly kind: 'name' | 'number' | 'string' | 'mark' | 'inlined' | 'end';
  /** As written; a name without its `$`. */
  readonly text: string;
  readonly place: Place;
  /** A number's value. */
  readonly value: bigint;
  /** A string's bytes. */
  readonly bytes: Uint8Array;
  /** Which of the source's inlined things. */
  readonly index: number;
  /** A name written with `$` before it: never a register or an instruction. */
  readonly escaped: boolean;
}

const word = /[A-Za-z0-9_.?@$#~]/;
const nameStart = /[A-Za-z_.?@]/;
const marks = ['<<', '>>', '//', '%%', ...'[](),:+-*/%&|^~!'];
const none = new Uint8Array();

/** The tokens of one line, an `end` token behind them. */
export function tokenise(source: Source, line: number): Token[] {
  const text = source.lines[line - 1] ?? '';
  const tokens: Token[] = [];
  let at = 0;
  const add = (kind: Token['kind'], length: number, more: Partial<Token> = {}) => {
    const written = text.slice(at, at + length);
    const place = source.place(line, at, written);
    tokens.push({ kind, text: written, place, value: 0n, bytes: none, index: 0, escaped: false, ...more });
    at += length;
  };
  for (;;) {
    const character = text[at];
    if (character === undefined || character === ';') break;
    if (/\s/.test(character)) at++;
    else if (/['"`]/.test(character)) readString();
    else if (/[0-9]/.test(character)) readNumber(at);
    else if (character === '$') readDollar();
    else if (nameStart.test(character)) add('name', run(at));
    else if (!readInlined()) readMark(character);
  }
  at = Math.min(at, text.trimEnd().length);
  add('end', 0);
  return tokens;

  function run(from: number): number {
    let end = from;
    while (end < text.length && word.test(text[end]!)) end++;
    return end - from;
  }

  function readNumber(from: number): void {
    const length = run(from);
    const written = text.slice(at, from + length);
    const value = parseNumber(written);
    if (value === undefined) {
      const place = source.place(line, at, written);
      throw new AsmError(place, `'${written}' is not a number`, adviseNumber(written));
    }
    add('number', from + length - at, { value });
  }

  function readDollar(): void {
    const next = text[at + 1] ?? '';
    if (/[0-9]/.test(next)) {
      readNumber(at + 1);
    } else if (nameStart.test(next)) {
      const length = 1 + run(at + 1);
      add('name', length, { text: text.slice(at + 1, at + length), escaped: true });
    } else {
      add('mark', next === '$' ? 2 : 1);
    }
  }

  function readInlined(): boolean {
    const found = readStandIn(text, at);
    if (!found || found.index >= source.inlined.length) return false;
    add('inlined', found.length, { index: found.index });
    return true;
  }

  function readMark(character: string): void {
    const mark = marks.find((candidate) => text.startsWith(candidate, at));
    if (mark === undefined) throw refuseCharacter(character);
    add('mark', mark.length);
  }

  function refuseCharacter(character: string): AsmError {
    const whole = String.fromCodePoint(text.codePointAt(at)!);
    const shown = character < ' ' || character === '\x7f' ? JSON.stringify(character) : `'${whole}'`;
    return new AsmError(source.place(line, at, whole), `${shown} has no meaning here`, adviseCharacter(character));
  }

  function readString(): void {
    const quote = text[at]!;
    let end = at + 1;
    while (end < text.length && text[end] !== quote) end += quote === '`' && text[end] === '\\' ? 2 : 1;
    if (end >= text.length) {
      const place = source.place(line, at, text.slice(at));
      throw new AsmError(place, 'The string has no end', `Close it with ${quote} on the same line.`);
    }
    const inside = text.slice(at + 1, end);
    add('string', end + 1 - at, { bytes: quote === '`' ? unquote(inside) : new TextEncoder().encode(inside) });
  }
}

const escapes: Record<string, number> = { a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13, e: 27, 0: 0 };

/** The bytes of a backquoted string: C's escapes. */
function unquote(text: string): Uint8Array {
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  for (const [part, hex, octal, letter] of text.matchAll(/\\x([0-9a-fA-F]{1,2})|\\([0-7]{1,3})|\\(.)|[^\\]|\\$/gsu)) {
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else if (octal !== undefined) bytes.push(Number.parseInt(octal, 8) & 0xff);
    else if (letter !== undefined) bytes.push(...(letter in escapes ? [escapes[letter]!] : encoder.encode(letter)));
    else bytes.push(...encoder.encode(part));
  }
  return Uint8Array.from(bytes);
}

function adviseNumber(text: string): string {
  if (text.includes('.')) return 'There are no floating-point numbers: write the bits.';
  if (/^[0-9a-f]+$/i.test(text)) return `For hexadecimal write 0x${text} or ${text}h.`;
  return 'Write it like 200, 0xc8, 0c8h, 0b11001000 or 310q; it has 64 bits at most.';
}

function adviseCharacter(character: string): string {
  if (character === '#') return 'Comments begin with a semicolon; constants have no #.';
  if (character === '{') return 'To interpolate a value, write a dollar sign before the brace, in a tagged template.';
  if (character === '=') return 'Define a constant with equ: name equ value.';
  if (character === '\\') return 'A statement ends with its line.';
  return 'Remove it.';
}
