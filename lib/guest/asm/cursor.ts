/** A line's tokens, read from left to right. */
import { AsmError, type Place } from './error.ts';
import type { Token } from './lexer.ts';

/** Reads the tokens of one line from left to right. */
export class Cursor {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get next(): Token {
    return this.#tokens[this.#at]!;
  }

  /** The token after the next one. */
  get second(): Token {
    return this.#tokens[this.#at + 1] ?? this.#tokens.at(-1)!;
  }

  get atEnd(): boolean {
    return this.next.kind === 'end';
  }

  take(): Token {
    const token = this.next;
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  /** The next token in lower case, if it is a bare name. */
  get keyword(): string | undefined {
    const { kind, text, escaped } = this.next;
    return kind === 'name' && !escaped ? text.toLowerCase() : undefined;
  }

  /** Everything from that place to the last token taken. */
  since(start: Place): Place {
    const last = this.#tokens[Math.max(0, this.#at - 1)]!.place;
    const end = last.column - 1 + last.text.length;
    return { ...start, text: start.source.slice(start.column - 1, Math.max(end, start.column)) };
  }

  atMark(mark: string): boolean {
    return this.next.kind === 'mark' && this.next.text === mark;
  }

  /** Goes past the mark if it is next. */
  takeMark(mark: string): boolean {
    if (!this.atMark(mark)) return false;
    this.take();
    return true;
  }

  /** Goes past one of the keywords if it is next. */
  takeKeyword<K extends string>(keywords: readonly K[]): K | undefined {
    const found = keywords.find((keyword) => keyword === this.keyword);
    if (found !== undefined) this.take();
    return found;
  }

  expectMark(mark: string, after: string): void {
    if (!this.takeMark(mark)) throw this.unexpected(`'${mark}' ${after}`);
  }

  /** The error that something else was expected at this place. */
  unexpected(wanted: string, advice = 'Write one statement per line: label, instruction, operands.'): AsmError {
    const found = this.atEnd ? 'the line ends' : `'${this.next.place.text}' follows`;
    return new AsmError(this.next.place, `Expected ${wanted}, but ${found}`, advice);
  }
}
