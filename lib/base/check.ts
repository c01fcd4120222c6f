/** Checks of arguments, before any system call: each gives the value back or throws ArgumentError. */
import { ArgumentError } from './errors.ts';
import { suggest } from './nearest.ts';
import { show } from './text.ts';

/** `value` if it is an integer from `low` to `high`; otherwise throws `ArgumentError` for `argument`. */
export function checkInteger(argument: string, value: number, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new ArgumentError(
    argument,
    `${argument} ${show(value)} is not an integer from ${low} to ${high}`,
    `Give an integer from ${low} to ${high}.`,
  );
}

/** `value` as a bigint if it is an integer from 0 to 2^64-1; otherwise throws `ArgumentError` for `argument`. */
export function checkU64(argument: string, value: number | bigint): bigint {
  const valid =
    typeof value === 'bigint' ? value >= 0n && value < 1n << 64n : Number.isSafeInteger(value) && value >= 0;
  if (valid) return BigInt(value);
  throw new ArgumentError(argument, `${argument} ${show(value)} is not from 0 to 2^64-1`, 'Give an unsigned integer.');
}

/** `value` if it is a Uint8Array of `least` to `most` bytes; otherwise throws `ArgumentError` for `argument`. */
export function checkBytes(argument: string, value: Uint8Array, least: number, most: number): Uint8Array {
  if (value instanceof Uint8Array && value.length >= least && value.length <= most) return value;
  if (most === Number.POSITIVE_INFINITY)
    throw new ArgumentError(argument, `${argument} ${show(value)} is not a Uint8Array`, 'Give bytes.');
  const size = least === most ? `${least}` : `${least} to ${most}`;
  throw new ArgumentError(argument, `${argument} is not a Uint8Array of ${size} bytes`, `Give ${size} bytes.`);
}

/** `value` if it is one of `choices`; otherwise throws `ArgumentError` for `argument`. */
export function checkChoice<T>(argument: string, value: T, choices: readonly T[]): T {
  if (choices.includes(value)) return value;
  const list = choices.map(String).join(', ');
  const all = `Give one of ${list}.`;
  const advice = typeof value === 'string' ? suggest(value, choices.map(String), all) : all;
  throw new ArgumentError(argument, `${argument} ${show(value)} is none of ${list}`, advice);
}

/** `value` if it is an object and no list; otherwise throws `ArgumentError` for `argument`. */
export function checkObject<T>(argument: string, value: T): T {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new ArgumentError(
    argument,
    `${argument} is ${show(value)}, not an object`,
    'Give an object with named fields.',
  );
}

/** `value` if it is a list of at most `most`; otherwise throws `ArgumentError` for `argument`. */
export function checkList<T>(argument: string, value: readonly T[], most = Number.POSITIVE_INFINITY): readonly T[] {
  if (!Array.isArray(value))
    throw new ArgumentError(argument, `${argument} is ${show(value)}, not a list`, 'Give an array.');
  if (value.length <= most) return value;
  throw new ArgumentError(argument, `${argument} has ${value.length} elements`, `Give at most ${most}.`);
}

/** `value` if it is text; otherwise throws `ArgumentError` for `argument`. */
export function checkText<T extends string>(argument: string, value: T): T {
  if (typeof value === 'string') return value;
  throw new ArgumentError(argument, `${argument} is ${show(value)}, not text`, 'Give a string.');
}

/** `value` if it is true or false; otherwise throws `ArgumentError` for `argument`. */
export function checkBoolean(argument: string, value: boolean): boolean {
  if (typeof value === 'boolean') return value;
  throw new ArgumentError(argument, `${argument} is ${show(value)}, not true or false`, 'Give true or false.');
}

/** `value` if it is a function; otherwise throws `ArgumentError` for `argument`. */
export function checkFunction<T>(argument: string, value: T): T {
  if (typeof value === 'function') return value;
  throw new ArgumentError(argument, `${argument} is ${show(value)}, not a function`, 'Give a function.');
}

/** `value` if it was made by the class; otherwise throws `ArgumentError` for `argument`. */
export function checkInstance<T>(
  argument: string,
  value: T,
  kind: { readonly name: string; readonly prototype: object },
): T {
  const made =
    typeof value === 'object' && value !== null && Object.prototype.isPrototypeOf.call(kind.prototype, value);
  if (made) return value;
  throw new ArgumentError(argument, `${argument} is no ${kind.name} of this package`, `Give a ${kind.name}.`);
}
