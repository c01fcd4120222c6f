/** What a module of this package offers to a program, as lines that two versions of it can be compared by. */

/** Keys of more than so many are no interface: a table of numbers, whose own test knows it. */
const MANY = 40;

/** `name: function`, `Class.static()`, `Class#member`, `table.key`: sorted. */
export function surfaceOf(module: object): string[] {
  return Object.entries(module)
    .flatMap(([name, value]) => offered(name, value))
    .sort();
}

function offered(name: string, value: unknown): string[] {
  if (isClass(value)) return [`${name}: class`, ...statics(name, value), ...members(name, value)];
  const what = `${name}: ${typeof value}`;
  if (typeof value !== 'object' || value === null || value instanceof Map) return [what];
  const keys = Object.keys(value);
  return keys.length > MANY ? [what] : [what, ...keys.map((key) => `${name}.${key}`)];
}

function isClass(value: unknown): value is { prototype: object } {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

const ofEveryFunction = ['length', 'name', 'prototype'];

function statics(name: string, value: object): string[] {
  const own = Object.getOwnPropertyNames(value).filter((key) => !ofEveryFunction.includes(key));
  return own.map((key) => `${name}.${key}`);
}

const ends = new Set<object>([Object.prototype, Error.prototype]);

function members(name: string, { prototype }: { prototype: object }): string[] {
  const found = new Set<string>();
  for (let one = prototype; !ends.has(one); one = Object.getPrototypeOf(one) as object)
    for (const key of Object.getOwnPropertyNames(one)) if (key !== 'constructor') found.add(key);
  return [...found].map((key) => `${name}#${key}`);
}
