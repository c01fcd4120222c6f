/** The text of a template, and what is interpolated into it. */
import { isSnippets, LabelNames, textOf, writeNumber } from '../snippet.ts';
import { AsmError, type Place } from './error.ts';
import type { Bits } from './syntax.ts';

/** Anything that has bytes to lie in the text: raw bytes, or code that may depend on where it lies. */
export interface Inlined {
  /** The bytes at this address. */
  at(address: bigint): Uint8Array;
  /** 16, 32 or 64 if it is code of that kind. */
  readonly bits: number | undefined;
}

// Private use characters: they stand in the text for what is no text.
// As numbers: a built package's code is ASCII, which V8 keeps in half the memory.
const OPEN = String.fromCodePoint(0xe000);
const CLOSE = String.fromCodePoint(0xe001);
const hole = /\u{e000}(\d*)\u{e001}/gu;

const lineBreak = /\r\n|\n|\r/;

/** A text with what was interpolated into it. */
export class Source {
  /** As written, a stand-in for each thing that is no text. */
  readonly lines: readonly string[];
  readonly inlined: readonly Inlined[];
  /** The number, for people, of each line: lines that were interpolated have the number of the line that they are in. */
  readonly numbers: readonly number[];

  constructor(text: string, inlined: readonly Inlined[] = [], numbers?: readonly number[]) {
    this.lines = text.split(lineBreak);
    this.inlined = inlined;
    this.numbers = numbers ?? this.lines.map((_, index) => index + 1);
  }

  /** A line as a person should see it. */
  shown(line: number): string {
    return show(this.lines[line - 1] ?? '');
  }

  place(line: number, index: number, text: string): Place {
    const column = show((this.lines[line - 1] ?? '').slice(0, index)).length + 1;
    return { line: this.numbers[line - 1] ?? line, column, text: show(text), source: this.shown(line) };
  }
}

function show(text: string): string {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the person wrote
  return text.replace(hole, '${...}');
}

/** The stand-in for `inlined[index]`. */
export function standIn(index: number): string {
  return `${OPEN}${index}${CLOSE}`;
}

/** Length and index of the stand-in at this place of a line. */
export function readStandIn(line: string, at: number): { length: number; index: number } | undefined {
  if (line[at] !== OPEN) return undefined;
  const close = line.indexOf(CLOSE, at);
  const digits = line.slice(at + 1, close);
  if (close < 0 || !/^\d{1,6}$/.test(digits)) return undefined;
  return { length: close + 1 - at, index: Number(digits) };
}

/**
 * The text of a template and its values: numbers become digits, strings and snippets become text, and the rest stand-ins.
 *
 * @param bits for snippets
 * @param inline makes something of a value that is neither; undefined if it cannot
 * @throws AsmError for a value that cannot be in a text
 */
export function interpolate(
  strings: readonly string[],
  values: readonly unknown[],
  bits: Bits,
  inline: (value: unknown) => Inlined | undefined,
): Source {
  let text = '';
  const inlined: Inlined[] = [];
  const numbers = [1];
  const add = (part: string, isWritten: boolean) => {
    for (const _ of part.split(lineBreak).slice(1)) numbers.push(numbers.at(-1)! + (isWritten ? 1 : 0));
    text += part;
  };
  const labels = new LabelNames();
  add(strings[0] ?? '', true);
  values.forEach((value, index) => {
    const written = isSnippets(value) ? textOf(value, bits, labels) : writeValue(value);
    const thing = written === undefined ? inline(value) : undefined;
    if (written === undefined && thing === undefined) throw refuse(text, strings[index + 1] ?? '', value);
    add(written ?? standIn(inlined.push(thing!) - 1), false);
    add(strings[index + 1] ?? '', true);
  });
  return new Source(text, inlined, numbers);
}

/** An integer as the assembler reads it, text as it is; `undefined` for what is neither. */
export function writeValue(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) return undefined;
  return writeNumber(value as number | bigint);
}

function refuse(before: string, after: string, value: unknown): AsmError {
  const source = new Source(before + after);
  const line = before.split(/\r\n|\n|\r/).length;
  const index = before.length - Math.max(before.lastIndexOf('\n'), before.lastIndexOf('\r')) - 1;
  const what = typeof value === 'number' ? String(value) : value === null ? 'null' : `a value of type ${typeof value}`;
  return new AsmError(
    source.place(line, index, ''),
    `${what} cannot be interpolated`,
    'Interpolate an integer, a bigint, text, a snippet, a Uint8Array or guest code.',
  );
}
