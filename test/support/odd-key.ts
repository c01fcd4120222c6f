/** An object like another one, with a key more at a place in it. */
import assert from 'node:assert/strict';
import { ArgumentError } from '../../lib/index.ts';
import type { OptionCall, World } from './option-calls.ts';

/** No object of the API has it. */
const ODD = 'zzz';

/** `Vcpu.start(options.record)` as the call's name and the path in what it takes: `Vcpu.start(options)`, `record`. */
export function placeOf(taker: string): { call: string; path: readonly string[] } {
  const [, call, name, path] = /^(.*)\((\w+(?:\[\])?)(.*)\)$/.exec(taker)!;
  return { call: `${call}(${name})`, path: [...(name!.endsWith('[]') ? ['0'] : []), ...steps(path!)] };
}

const steps = (path: string): string[] =>
  path.split('.').flatMap((key) => (key.endsWith('[]') ? [key.slice(0, -2), '0'] : key === '' ? [] : [key]));

/** The paths of all objects in it that are taken by their keys. A profile may have exits of its own. */
export function placesIn(good: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (Array.isArray(good)) return good.length === 0 ? [] : placesIn(good[0], [...path, '0']);
  if (typeof good !== 'object' || good === null || Object.getPrototypeOf(good) !== Object.prototype) return [];
  const inside = Object.entries(good).filter(([key]) => key !== 'profile' && key !== 'handlers');
  return [path, ...inside.flatMap(([key, value]) => placesIn(value, [...path, key]))];
}

/** A copy of `good` that has the odd key there; `undefined` if there is no object. */
function withOddKey(good: unknown, [first, ...rest]: readonly string[]): unknown {
  if (typeof good !== 'object' || good === null) return undefined;
  if (first === undefined) return Array.isArray(good) ? undefined : { ...good, [ODD]: 1 };
  const inside = withOddKey((good as Record<string, unknown>)[first], rest);
  if (inside === undefined) return undefined;
  const copy = Array.isArray(good) ? [...good] : { ...good };
  (copy as Record<string, unknown>)[first] = inside;
  return copy;
}

/** A call refuses what it may be given otherwise, with an odd key at `path` in it. False if there is no object. */
export async function refuses(one: OptionCall, good: unknown, path: readonly string[], world: World): Promise<boolean> {
  const odd = withOddKey(good, path);
  if (odd === undefined) return false;
  await assert.rejects(
    async () => one.call(odd, world),
    (error) => {
      assert.ok(error instanceof ArgumentError, `not refused by name, but ${String(error)}`);
      assert.match(error.argument, new RegExp(`(^|[.\\]])${ODD}$`), error.message);
      return true;
    },
  );
  return true;
}
