/** Values as text for people: one of each in the package. */

/** What text for a terminal may be painted in. */
export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Any value in a few words, for a message: of some, `String()` itself throws. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
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
