/** Pieces of assembly that stand between `${` and `}`, and become text of the mode that they are in. */

import { ArgumentError } from '../base/errors.ts';
import { hex, show } from '../base/text.ts';

/** Numbers for the labels of snippets: two uses of one snippet have two labels. */
export class LabelNames {
  #last = 0;

  /** The next number, from 1 on: no two calls give the same. */
  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

/** A piece of assembly. In its text `%%name` is a label of its own, another one for each use. */
export class Snippet {
  readonly #write: (bits: 16 | 32 | 64, labels: LabelNames) => string;

  /** @param write the text for 16-, 32- or 64-bit code */
  constructor(write: (bits: 16 | 32 | 64, labels: LabelNames) => string) {
    this.#write = write;
  }

  /** What stands in the template. */
  text(bits: 16 | 32 | 64, labels: LabelNames): string {
    const number = labels.next();
    // NASM keeps `..@` for the labels of macros: they end no scope of local labels.
    return this.#write(bits, labels).replace(/%%(\w+)/g, (_, name: string) => `..@${number}.${name}`);
  }
}

/**
 * Makes a snippet of assembly and other snippets.
 *
 * @example
 * const knock = (port: number) => snippet`
 *     mov ecx, 3
 * %%again:
 *     out ${port}, al
 *     loop %%again
 * `;
 *
 * @throws ArgumentError for a value that is no number, text, snippet or list of them
 */
export function snippet(strings: TemplateStringsArray, ...values: readonly SnippetValue[]): Snippet {
  values.forEach((value: unknown, index) => {
    if (typeof value === 'number' || typeof value === 'bigint' || isSnippets(value)) return;
    if (typeof value === 'string') return;
    const advice = 'Give a number, text, a snippet, or a list of texts and snippets.';
    throw new ArgumentError(`values[${index}]`, `values[${index}] of the snippet is ${show(value)}`, advice);
  });
  return new Snippet((bits, labels) =>
    strings.raw
      .map((part, index) => part + (index < values.length ? written(values[index]!, bits, labels) : ''))
      .join(''),
  );
}

/** What can stand in a snippet; of a list each on a line of its own. */
export type SnippetValue = number | bigint | string | Snippet | readonly (string | Snippet)[];

/** The text of snippets, one below the other. */
export function textOf(value: Snippet | readonly (string | Snippet)[], bits: 16 | 32 | 64, labels: LabelNames): string {
  if (value instanceof Snippet) return value.text(bits, labels);
  return value.map((one) => (one instanceof Snippet ? one.text(bits, labels) : one)).join('\n');
}

/** True for what `textOf` takes. */
export function isSnippets(value: unknown): value is Snippet | readonly (string | Snippet)[] {
  const isOne = (one: unknown) => one instanceof Snippet || typeof one === 'string';
  return value instanceof Snippet || (Array.isArray(value) && value.every(isOne));
}

function written(value: SnippetValue, bits: 16 | 32 | 64, labels: LabelNames): string {
  if (isSnippets(value)) return textOf(value, bits, labels);
  return typeof value === 'string' ? value : writeNumber(value);
}

/** A number as it stands in manuals and listings, and as the assembler reads it: an address of the guest in hexadecimal. */
export function writeNumber(number: number | bigint): string {
  // What is no integer is refused by the assembler, as it stands.
  if (typeof number === 'number' && !Number.isSafeInteger(number)) return String(number);
  const size = number < 0 ? -number : number;
  const digits = size < 10 ? String(size) : hex(size);
  return number < 0 ? `(-${digits})` : digits;
}
