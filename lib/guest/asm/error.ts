import { KvmDsmError } from '../../base/errors.ts';

/** Where in the text something is. */
export interface Place {
  /** From 1: the line of the template's opening backtick. */
  readonly line: number;
  /** From 1, in the text with numbers interpolated. */
  readonly column: number;
  /** What stands there. */
  readonly text: string;
  /** The whole line. */
  readonly source: string;
}

/** The text cannot be assembled. `line`, `column` and `text` say where, `advice` what to write instead. */
export class AsmError extends KvmDsmError {
  readonly code = 'ERR_ASM';
  /** From 1: the line of the template's opening backtick. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** The offending text. */
  readonly text: string;
  /** The line, with a caret below the offending text. */
  readonly excerpt: string;
  /** What is wrong, without the place. */
  readonly reason: string;
  /** True if the same text could be right at another load address. */
  readonly addressDependent: boolean;

  /** @internal */
  constructor(place: Place, reason: string, advice: string, addressDependent = false) {
    const excerpt = drawExcerpt(place);
    super(`line ${place.line}, column ${place.column}: ${reason}\n${excerpt}`, { advice });
    this.line = place.line;
    this.column = place.column;
    this.text = place.text;
    this.excerpt = excerpt;
    this.reason = reason;
    this.addressDependent = addressDependent;
  }
}

function drawExcerpt({ line, column, text, source }: Place): string {
  const number = String(line);
  // Tabs stay, so that the caret is below its text however wide a tab is.
  const before = source.slice(0, column - 1).replace(/[^\t]/g, ' ');
  const width = Math.max(1, Math.min(text.length, source.length - column + 1));
  return [`  ${number} | ${source}`, `  ${' '.repeat(number.length)} | ${before}^${'~'.repeat(width - 1)}`].join('\n');
}
