/** Values as text for people: one of each in the package. */

/** What text for a terminal may be painted in. */
export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Any value in a few words, for a message: of some, `String()` itself throws. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

/** `0x1f`, `-0x1f`; with at least so many digits. */
export function hex(value: number | bigint, digits = 1): string {
  return value < 0 ? `-${hex(-value, digits)}` : `0x${value.toString(16).padStart(digits, '0')}`;
}

/** `1 exit`, `2 exits`. */
export function plural(count: number, noun: string): string {
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

/** `de ad be ef`: two digits a byte. */
export function hexBytes(bytes: Uint8Array, separator = ' '): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(separator);
}

/** A terminal's sequences that begin with ESC: CSI with its parameters, and the beginnings of the others. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to go
const sequences = /\x1b(?:\[[0-?]*[ -/]*[@-~]?|[ -/]*[0-~])?/g;
/** What moves a terminal's cursor, changes its state, or the order in which its text is shown. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to go
const controls = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Those of them that JSON does not write as escapes. */
const beyondJson = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * One line of text that somebody else made (a guest, a kernel, firmware), fit for a terminal: escape sequences are
 * left out, and other control characters but the tab are shown as `\x9b` or `\u202e`.
 */
export function printable(line: string): string {
  return line.replace(sequences, '').replace(controls, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
  });
}

/** The same for text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** JSON of a value, fit for a terminal: JSON itself leaves some control characters as they are. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    beyondJson,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
