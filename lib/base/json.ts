/** Values as JSON has them. */
import { hex, hexBytes } from './text.ts';

/** What JSON can say. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Numbers of 64 bits in hexadecimal, bytes likewise: `0x1f`, `deadbeef`. */
export function toJson(value: unknown): JsonValue {
  if (typeof value === 'bigint') return hex(value);
  if (value instanceof Uint8Array) return hexBytes(value, '');
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, toJson(member)]));
  return value as string | number | boolean | null;
}
