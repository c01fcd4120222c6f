/**
 * Options, states, expectations and what callbacks answer, each declared once: what is not declared is refused, never
 * ignored. Each key is read once: what was checked is what is used, whatever a getter answers the next time.
 */
import {
  checkBoolean,
  checkBytes,
  checkChoice,
  checkFunction,
  checkInstance,
  checkInteger,
  checkList,
  checkObject,
  checkText,
  checkU64,
} from './check.ts';
import { type Duration, milliseconds } from './duration.ts';
import { ArgumentError } from './errors.ts';
import { nearest, suggest } from './nearest.ts';
import { show } from './text.ts';

/** Gives a value back, or throws `ArgumentError` for `argument`. */
export interface ValueCheck<T> {
  (argument: string, value: unknown): T;
  /** Never there: it ties a check to all of its type, so that one for a part of it does not compile. */
  readonly of?: (value: T) => void;
  /** Of an object: its keys, and those of the objects in it by their path. */
  readonly paths?: readonly string[];
  /** Of an object: the same where any key may be left out, at any depth. */
  readonly partly?: ValueCheck<unknown>;
}

/** The check of a key that may be left out. */
export interface OptionalCheck<T> extends ValueCheck<T> {
  readonly mayBeLeftOut: true;
}

/** A check for each key of `T`, and for no other: a key that one of them lacks does not compile. */
export type Shape<T> = {
  readonly [K in keyof T]-?: object extends Pick<T, K> ? OptionalCheck<Exclude<T[K], undefined>> : ValueCheck<T[K]>;
};

/** The check of an object, by its shape. Inside another object its keys are named by their path. */
export interface ObjectCheck<T> extends ValueCheck<T> {
  /** A copy of the object, checked, its keys named as they are. `argument`: what a caller calls the object. */
  take(value: unknown, argument?: string): T;
  /** The same where any key may be left out, at any depth. */
  takePart(value: unknown, argument?: string): Partial<T>;
  /**
   * Checks the keys alone, for a call that scripts make often and that reads and checks each value itself, by its name: no copy is
   * made. A getter may answer otherwise the next time, so that each key is to be read once.
   */
  checkKeys(value: unknown, argument: string): asserts value is { readonly [K in keyof T]?: unknown };
}

/** Declares an object. `says` begins a sentence: `machine() takes` (no vcpu). */
export function shape<T extends object>(says: string, checks: Shape<T>): ObjectCheck<T> {
  const entries = Object.entries(checks) as [keyof T & string, ValueCheck<unknown>][];
  const paths = entries.flatMap(([key, check]) => [key, ...(check.paths ?? []).map((path) => `${key}.${path}`)]);
  const known: readonly PropertyKey[] = entries.map(([key]) => key);
  // On the way of calls that scripts make often.
  const fields = entries.map(([key, check]) => ({ key, check, mayBeLeftOut: 'mayBeLeftOut' in check }));
  const keysOf = (argument: string, prefix: string, value: unknown): readonly PropertyKey[] =>
    ownKeys(checkObject(argument, value), known) ?? [...checkKeys(says, prefix, value, paths)];
  const read = (argument: string, prefix: string, value: unknown, inPart: boolean): T => {
    const keys = keysOf(argument, prefix, value);
    const taken: Partial<Record<keyof T, unknown>> = {};
    for (const { key, check, mayBeLeftOut } of fields) {
      const isThere = keys.includes(key);
      if (inPart && !isThere) continue;
      const given = isThere ? (value as T)[key] : undefined;
      if (given === undefined && mayBeLeftOut && !inPart) continue;
      taken[key] = ((inPart && check.partly) || check)(prefix === '' ? key : prefix + key, given);
    }
    return taken as T;
  };
  const whole = (argument: string, value: unknown) => read(argument, `${argument}.`, value, false);
  return Object.assign(whole, {
    paths,
    partly: (argument: string, value: unknown) => read(argument, `${argument}.`, value, true),
    take: (value: unknown, argument = 'options') => read(argument, '', value, false),
    takePart: (value: unknown, argument = 'options') => read(argument, '', value, true),
    checkKeys: (value: unknown, argument: string) => void keysOf(argument, '', value),
  });
}

/** The keys of an object that inherits nothing of its own, if each is known: the usual case, and many times as fast as the next one. */
export function ownKeys(value: unknown, known: readonly PropertyKey[]): readonly PropertyKey[] | null {
  const prototype: object | null = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return null;
  // Together what Reflect.ownKeys gives, in half its time: V8 keeps the names with the object's map.
  const keys = Object.getOwnPropertyNames(value);
  for (let at = 0; at < keys.length; at++) if (!isAmong(known, keys[at]!)) return null;
  return Object.getOwnPropertySymbols(value).length === 0 ? keys : null;
}

/** `includes`, which V8 does not put into its caller's code. */
function isAmong(known: readonly PropertyKey[], key: string): boolean {
  for (let at = 0; at < known.length; at++) if (known[at] === key) return true;
  return false;
}

/**
 * All keys of an object, inherited ones too, if each is known; otherwise throws `ArgumentError`.
 *
 * @param paths the known keys; after a dot, what stands in an object of it
 */
export function checkKeys(says: string, prefix: string, value: unknown, paths: readonly string[]): Set<PropertyKey> {
  const keys = new Set<PropertyKey>();
  let from = value as object | null;
  for (let isOwn = true; from !== null; isOwn = false) {
    const next: object | null = Object.getPrototypeOf(from);
    // What every object inherits is nobody's option.
    if (!isOwn && next === null) break;
    for (const key of Reflect.ownKeys(from)) if (isOwn || key !== 'constructor') keys.add(key);
    from = next;
  }
  for (const key of keys)
    if (!paths.includes(key as string) || String(key).includes('.')) throw unknownKey(says, prefix, String(key), paths);
  return keys;
}

function unknownKey(says: string, prefix: string, key: string, paths: readonly string[]): ArgumentError {
  const known = paths.filter((path) => !path.includes('.'));
  const all = known.length === 0 ? 'Leave it out.' : `Known: ${known.join(', ')}.`;
  const inside = nearest(key, known) ? undefined : paths.find((path) => nearest(key, [path.split('.').at(-1)!]));
  const advice = inside ? `Did you mean ${prefix}${inside}?` : suggest(key, known, all);
  return new ArgumentError(prefix + key, `${says} no ${prefix}${key}`, advice);
}

/** The same check for less or more than its values; of an object, whole and in part. */
function around<T>(
  check: ValueCheck<unknown>,
  way: (inner: ValueCheck<unknown>) => ValueCheck<unknown>,
): ValueCheck<T> {
  const { paths, partly } = check;
  return Object.assign(way(check), paths && { paths }, partly && { partly: way(partly) }) as ValueCheck<T>;
}

/** The check of a key that may be left out, or be `undefined`. */
export function optional<T>(check: ValueCheck<T>): OptionalCheck<T> {
  const same = around<T>(check as ValueCheck<unknown>, (inner) => (argument, value) => inner(argument, value));
  return Object.assign(same, { mayBeLeftOut: true as const });
}

export function orNull<T>(check: ValueCheck<T>): ValueCheck<T | null> {
  return around(
    check as ValueCheck<unknown>,
    (inner) => (argument, value) => (value === null ? null : inner(argument, value)),
  );
}

export const boolean: ValueCheck<boolean> = (argument, value) => checkBoolean(argument, value as boolean);
export const text: ValueCheck<string> = (argument, value) => checkText(argument, value as string);

/** A bigint from 0 to 2^64-1, or a number. */
export const u64: ValueCheck<number | bigint> = (argument, value) => {
  checkU64(argument, value as bigint);
  return value as number | bigint;
};

/** A bigint from 0 to 2^64-1. */
export const u64Bigint: ValueCheck<bigint> = (argument, value) => {
  if (typeof value === 'bigint') return checkU64(argument, value);
  throw new ArgumentError(argument, `${argument} is ${show(value)}, not a bigint`, 'Give a bigint, such as 0x1000n.');
};

export const duration: ValueCheck<Duration> = (argument, value) => {
  milliseconds(value as Duration, argument);
  return value as Duration;
};

export function integer(low: number, high: number): ValueCheck<number> {
  return (argument, value) => checkInteger(argument, value as number, low, high);
}

/** A number that need not be an integer. */
export function number(low: number, high: number): ValueCheck<number> {
  return (argument, value) => {
    if (typeof value === 'number' && value >= low && value <= high) return value;
    const range = `from ${low} to ${high}`;
    throw new ArgumentError(argument, `${argument} ${show(value)} is not a number ${range}`, `Give a number ${range}.`);
  };
}

export function bytes(least: number, most: number): ValueCheck<Uint8Array> {
  return (argument, value) => checkBytes(argument, value as Uint8Array, least, most);
}

export function oneOf<const T>(choices: readonly T[]): ValueCheck<T> {
  return (argument, value) => checkChoice(argument, value as T, choices);
}

/** A function; what it takes and answers is its caller's to check. */
export function func<F>(): ValueCheck<F> {
  return (argument, value) => checkFunction(argument, value as F);
}

export function instance<T extends object>(kind: { readonly name: string; readonly prototype: T }): ValueCheck<T> {
  return (argument, value) => checkInstance(argument, value as T, kind);
}

export function listOf<T>(check: ValueCheck<T>, most?: number): ValueCheck<readonly T[]> {
  return (argument, value) =>
    Array.from(checkList(argument, value as readonly unknown[], most), (one, index) =>
      check(`${argument}[${index}]`, one),
    );
}
