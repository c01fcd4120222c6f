/** Values that no call expects, and values in words. */
import type { Random } from './random.ts';

const MAX = 2 ** 32;
/** None of them, from 64 MiB on, is a multiple of 4096 that a machine could map: memory for them would be scanned for ages. */
const numbers = [0, 1, 2, 3, 7, 8, 16, 64, 255, 256, 4095, 4096, 4097, 65535, 65536, 2 ** 31 - 1, MAX - 1, MAX + 1];
const farNumbers = [
  MAX + 4095,
  6 * 2 ** 30 + 1,
  2 ** 33 - 1,
  2 ** 46 + 1,
  2 ** 52,
  Number.MAX_SAFE_INTEGER,
  2 ** 60,
  1e300,
  Number.POSITIVE_INFINITY,
];
const wrongNumbers = [-1, -0, -4096, -(2 ** 31), 0.5, 1.5, Number.NaN, Number.MIN_VALUE, Number.NEGATIVE_INFINITY];
const bigints = [0n, 1n, 255n, 4096n, 1n << 32n, (1n << 63n) - 1n, (1n << 64n) - 1n, 1n << 64n, -1n, 1n << 200n];
const texts = ['', '0', '1', 'x', 'toString', '__proto__', 'KVM_CAP_NONE', 'full', '5', '\0', '\u{1f427}'];

/** A value that no field of a C struct takes, whatever its type. */
export function refused(random: Random): unknown {
  return random.pick<unknown>([
    'x',
    '',
    Symbol('fuzz'),
    Number.NaN,
    1.5,
    Number.POSITIVE_INFINITY,
    1n << 70n,
    -(1n << 70n),
  ]);
}

/** A primitive that is no object, no list and no number. */
export function noObject(random: Random): unknown {
  return random.pick<unknown>(['x', '', Symbol('fuzz'), null, undefined, false]);
}

/** Anything at all. */
export function anything(random: Random, depth = 0): unknown {
  switch (random.int(0, depth > 1 ? 9 : 13)) {
    case 0:
    case 1:
      return random.chance(0.3) ? random.pick([null, undefined]) : random.pick(numbers);
    case 2:
      return random.pick(farNumbers);
    case 3:
      return random.pick(wrongNumbers);
    case 4:
    case 5:
      return random.pick(bigints);
    case 6:
      return random.pick(texts);
    case 7:
      return random.pick([null, undefined, true, false]);
    case 8:
      return random.pick<unknown>([Symbol('fuzz'), () => undefined, Object.create(null), new Date(0), /x/, new Map()]);
    case 9:
      return buffer(random);
    case 10:
      return Array.from({ length: random.int(0, 4) }, () => anything(random, depth + 1));
    case 11:
      return random.pick<unknown>([
        {},
        [],
        [[]],
        new Array(3),
        new Array(70_000).fill(0),
        [undefined],
        [null],
        { length: 5 },
      ]);
    case 12:
      return { [random.pick(['slot', 'size', 'regs', 'length', 'gsi', 'bytes'])]: anything(random, depth + 1) };
    default:
      return random.u32();
  }
}

type Resizable = ArrayBuffer & { resize(bytes: number): void };

/** A buffer whose size may change under a view of it. */
function resizable(bytes: number): Resizable {
  return Reflect.construct(ArrayBuffer, [bytes, { maxByteLength: 1 << 17 }]) as Resizable;
}

function buffer(random: Random): unknown {
  const length = random.pick([0, 1, 4, 8, 63, 64, 1024, 4096, 65_536, 65_537]);
  switch (random.int(0, 9)) {
    case 0:
      return new Uint8Array(new SharedArrayBuffer(length));
    case 1:
      return new DataView(new ArrayBuffer(length));
    case 2:
      return new Float64Array(length >> 3);
    case 3:
      return new ArrayBuffer(length);
    case 4: {
      const gone = random.chance(0.5) ? new Uint8Array(length) : new DataView(new ArrayBuffer(length));
      structuredClone(gone.buffer, { transfer: [gone.buffer as ArrayBuffer] });
      return gone;
    }
    case 5:
      return Buffer.from(new Uint8Array(length).buffer, 0, length >> 1);
    case 6: {
      const shrunk = resizable(length);
      const view = random.pick<() => object>([
        () => new Uint8Array(shrunk),
        () => new Uint8Array(shrunk, length >> 1),
        () => new Uint8Array(shrunk, 0, length),
        () => new DataView(shrunk, 0, length),
      ])();
      shrunk.resize(random.pick([0, length >> 2, 1 << 17]));
      return view;
    }
    case 7:
      return new Proxy(new Uint8Array(length), {});
    case 8:
      return Object.setPrototypeOf(new Uint8Array(length), random.pick([null, DataView.prototype, Array.prototype]));
    default:
      return random.bytes(Math.min(length, 64));
  }
}

/** The same object, but each look at it may do something first. */
export function bent<T>(value: T, look: () => void): T {
  if (typeof value !== 'object' || value === null) return value;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return value;
  return new Proxy(value, {
    get(target, key) {
      look();
      return bent(Reflect.get(target, key) as unknown, look);
    },
    ownKeys(target) {
      look();
      return Reflect.ownKeys(target);
    },
  });
}

/** A value as it may stand in a line of a log. `nameOf` names the objects that the fuzzer made. */
export function show(value: unknown, nameOf: (object: object) => string | undefined, depth = 0): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return 'function';
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : String(value);
  const name = nameOf(value);
  if (name !== undefined) return name;
  if (ArrayBuffer.isView(value)) return showBuffer(value);
  if (depth > 3) return '...';
  const inner = (member: unknown) => show(member, nameOf, depth + 1);
  if (Array.isArray(value)) {
    const shown = value.slice(0, 8).map(inner);
    return `[${shown.join(', ')}${value.length > 8 ? `, ... ${value.length}` : ''}]`;
  }
  const kind = Object.getPrototypeOf(value)?.constructor?.name ?? 'null';
  const all = Object.entries(value);
  const members = all.slice(0, 16).map(([key, member]) => `${key}: ${inner(member)}`);
  if (all.length > members.length) members.push(`... ${all.length}`);
  return `${kind === 'Object' ? '' : `${kind} `}{${members.join(', ')}}`;
}

function showBuffer(value: ArrayBufferView): string {
  try {
    const { name } = value.constructor;
    const what = `${name}(${value.byteLength})`;
    if (value.buffer.byteLength === 0) return `an empty or detached ${name}`;
    if (!(value instanceof Uint8Array) || value.buffer instanceof SharedArrayBuffer) return what;
    return `${what} ${Buffer.from(value.subarray(0, 16)).toString('hex')}${value.length > 16 ? '..' : ''}`;
  } catch {
    return 'a view that is none any more';
  }
}
