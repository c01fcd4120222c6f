import { ArgumentError } from './errors.ts';

/** `value` if it is an integer from `low` to `high`; otherwise throws `ArgumentError` for `argument`. */
export function checkInteger(argument: string, value: number, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new ArgumentError(
    argument,
    `${argument} ${String(value)} is not an integer from ${low} to ${high}`,
    `Give an integer from ${low} to ${high}.`,
  );
}

/** `value` as a bigint if it is an integer from 0 to 2^64-1; otherwise throws `ArgumentError` for `argument`. */
export function checkU64(argument: string, value: number | bigint): bigint {
  const valid =
    typeof value === 'bigint' ? value >= 0n && value < 1n << 64n : Number.isSafeInteger(value) && value >= 0;
  if (valid) return BigInt(value);
  throw new ArgumentError(
    argument,
    `${argument} ${String(value)} is not from 0 to 2^64-1`,
    'Give an unsigned integer.',
  );
}

/** `value` if it is a Uint8Array of `least` to `most` bytes; otherwise throws `ArgumentError` for `argument`. */
export function checkBytes(argument: string, value: Uint8Array, least: number, most: number): Uint8Array {
  if (value instanceof Uint8Array && value.length >= least && value.length <= most) return value;
  const size = least === most ? `${least}` : `${least} to ${most}`;
  throw new ArgumentError(argument, `${argument} is not a Uint8Array of ${size} bytes`, `Give ${size} bytes.`);
}

/** `value` if it is one of `choices`; otherwise throws `ArgumentError` for `argument`. */
export function checkChoice<T>(argument: string, value: T, choices: readonly T[]): T {
  if (choices.includes(value)) return value;
  const list = choices.map(String).join(', ');
  throw new ArgumentError(argument, `${argument} ${String(value)} is none of ${list}`, `Give one of ${list}.`);
}
