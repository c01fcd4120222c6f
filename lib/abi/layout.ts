/**
 * C struct layouts, declared once as data: the same table reads a struct, writes it, and is what the layout tests hold
 * against the C compiler's `offsetof` and `sizeof`. Everything is little endian, as on x86.
 */
import { ArgumentError } from '../base/errors.ts';
import { checkKeys, type ObjectCheck, ownKeys, type Shape, shape, type ValueCheck } from '../base/shape.ts';
import { show } from '../base/text.ts';

/** The C types that a field may have. `bool` is C's one-byte `bool`; `bytes` is an array of `__u8`. */
export type FieldType = 'u8' | 'u16' | 's16' | 'u32' | 's32' | 'u64' | 's64' | 'bool' | 'bytes' | 'struct';

/** One member of a C struct. `T` is what it decodes to. */
export interface Field<T> {
  /** The type of an element in C. */
  readonly type: FieldType;
  /** Byte offset in the struct. */
  readonly offset: number;
  /** Size in bytes, of all elements together. */
  readonly size: number;
  /** Number of elements of an array, `null` for a single value. */
  readonly count: number | null;
  /** The member's name in C, if it is not the snake_case of the property's name. */
  readonly cName: string | null;
  /** The layout of a `struct` member, otherwise `null`. */
  readonly inner: Layout<unknown> | null;
  /** Reads the field of the struct that starts at byte `base` of `view`. */
  read(view: DataView, base: number): T;
  /** Writes it; throws ArgumentError, for what `name` says, for a value that the type cannot hold. */
  write(view: DataView, base: number, value: T, name?: string): void;
}

/** What the fields `F` decode to: one property each. */
export type Decoded<F extends Readonly<Record<string, Field<unknown>>>> = {
  [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

/** What a layout decodes to: `LayoutValue<typeof kvmRegs>`. */
export type LayoutValue<L> = L extends Layout<infer T> ? T : never;

/** A C struct: where its fields are, and how to read and write them. */
export interface Layout<T> {
  /** The type's name in C, such as `struct kvm_regs`; `null` for a struct that has none of its own. */
  readonly cType: string | null;
  /** For a member of `cType` (a member of kvm_run's union, say): its path, such as `io`; otherwise `null`. */
  readonly cMember: string | null;
  /** `sizeof`, in bytes. */
  readonly size: number;
  /** Its members, by the names that they have here. */
  readonly fields: Readonly<{ [K in keyof T]: Field<T[K]> }>;
  /** Decodes the struct at byte `base` of `view`. Byte arrays are copies. */
  read(view: DataView, base?: number): T;
  /** Writes the fields that `value` has and leaves the other bytes alone. Throws ArgumentError for a key that is no field. */
  write(view: DataView, value: Partial<T>, base?: number, name?: string): void;
  /** A new buffer of `size` bytes: the fields that `value` has, the rest zero. Throws ArgumentError as `write` does. */
  encode(value: Partial<T>): Uint8Array<ArrayBuffer>;
  /** Decodes a buffer of at least `size` bytes; throws ArgumentError for a shorter one. */
  decode(bytes: Uint8Array): T;
}

interface FieldOptions {
  /** The member's name in C, where it is not the snake_case of the property's name. */
  cName?: string;
}

function scalar<T>(
  type: FieldType,
  size: number,
  get: (view: DataView, at: number) => T,
  set: (view: DataView, at: number, value: T, name: string) => void,
) {
  return (offset: number, options: FieldOptions = {}): Field<T> => ({
    type,
    offset,
    size,
    count: null,
    cName: options.cName ?? null,
    inner: null,
    read: (view, base) => get(view, base + offset),
    write: (view, base, value, name = 'value') => set(view, base + offset, value, name),
  });
}

/** What values a field of a type takes. */
const wanted: Record<FieldType, string> = {
  u8: 'a number from 0 to 0xff',
  u16: 'a number from 0 to 0xffff',
  s16: 'a number from -0x8000 to 0x7fff',
  u32: 'a number from 0 to 0xffffffff',
  s32: 'a number from -0x80000000 to 0x7fffffff',
  u64: 'a bigint from 0n to 2n**64n-1n',
  s64: 'a bigint from -(2n**63n) to 2n**63n-1n',
  bool: 'true or false',
  bytes: 'a Uint8Array that is not too long',
  struct: 'an object with named fields',
};

function refuse(type: FieldType, value: unknown, name: string): never {
  const what = typeof value === 'string' ? value : show(value);
  throw new ArgumentError(
    name,
    `${name === 'value' ? '' : `${name}: `}${what} does not fit a ${type} field`,
    `Give ${wanted[type]}.`,
  );
}

function checkNumber(type: FieldType, value: number, low: number, high: number, name: string): number {
  return Number.isInteger(value) && value >= low && value <= high ? value : refuse(type, value, name);
}

function checkBigint(type: FieldType, value: bigint, low: bigint, high: bigint, name: string): bigint {
  return typeof value === 'bigint' && value >= low && value <= high ? value : refuse(type, value, name);
}

/** `__u8` at a byte offset; a number, 0..255. */
export const u8 = scalar<number>(
  'u8',
  1,
  (view, at) => view.getUint8(at),
  (view, at, value, name) => view.setUint8(at, checkNumber('u8', value, 0, 0xff, name)),
);

/** `__u16` at a byte offset; a number, 0..0xffff. */
export const u16 = scalar<number>(
  'u16',
  2,
  (view, at) => view.getUint16(at, true),
  (view, at, value, name) => view.setUint16(at, checkNumber('u16', value, 0, 0xffff, name), true),
);

/** `__s16` at a byte offset; a number, -0x8000..0x7fff. */
export const s16 = scalar<number>(
  's16',
  2,
  (view, at) => view.getInt16(at, true),
  (view, at, value, name) => view.setInt16(at, checkNumber('s16', value, -0x8000, 0x7fff, name), true),
);

/** `__u32` at a byte offset; a number, 0..0xffffffff. */
export const u32 = scalar<number>(
  'u32',
  4,
  (view, at) => view.getUint32(at, true),
  (view, at, value, name) => view.setUint32(at, checkNumber('u32', value, 0, 0xffff_ffff, name), true),
);

/** `__s32` at a byte offset; a number, -0x80000000..0x7fffffff. */
export const s32 = scalar<number>(
  's32',
  4,
  (view, at) => view.getInt32(at, true),
  (view, at, value, name) => view.setInt32(at, checkNumber('s32', value, -0x8000_0000, 0x7fff_ffff, name), true),
);

/** `__u64` at a byte offset; a bigint, 0..2^64-1. */
export const u64 = scalar<bigint>(
  'u64',
  8,
  (view, at) => view.getBigUint64(at, true),
  (view, at, value, name) => view.setBigUint64(at, checkBigint('u64', value, 0n, 0xffff_ffff_ffff_ffffn, name), true),
);

/** `__s64` at a byte offset; a bigint, -2^63..2^63-1. */
export const s64 = scalar<bigint>(
  's64',
  8,
  (view, at) => view.getBigInt64(at, true),
  (view, at, value, name) =>
    view.setBigInt64(at, checkBigint('s64', value, -(1n << 63n), (1n << 63n) - 1n, name), true),
);

/** C's `bool`, one byte at a byte offset; any non-zero byte reads as true. */
export const bool = scalar<boolean>(
  'bool',
  1,
  (view, at) => view.getUint8(at) !== 0,
  (view, at, value, name) =>
    view.setUint8(at, typeof value === 'boolean' ? Number(value) : refuse('bool', value, name)),
);

/** `length` bytes at a byte offset; reads as a copy. A shorter value leaves the bytes behind it alone. */
export function bytes(offset: number, length: number, options: FieldOptions = {}): Field<Uint8Array> {
  return {
    type: 'bytes',
    offset,
    size: length,
    count: length,
    cName: options.cName ?? null,
    inner: null,
    read: (view, base) => bytesOf(view, base + offset, length).slice(),
    write(view, base, value, name = 'value') {
      if (!(value instanceof Uint8Array)) refuse('bytes', value, name);
      if (value.length > length) refuse('bytes', `${value.length} bytes in ${length}`, name);
      if (value.length > 0) bytesOf(view, base + offset, length).set(value);
    },
  };
}

function bytesOf(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}

/** `count` elements of one scalar type from a byte offset on: `array(u64, 8, 4)` is `__u64 x[4]` at 8. */
export function array<T>(
  element: (offset: number) => Field<T>,
  offset: number,
  count: number,
  options: FieldOptions = {},
): Field<T[]> {
  const first = element(0);
  return arrayOf(first.type, first.size, first.inner, first, offset, count, options);
}

/** `count` structs of one layout from a byte offset on. */
export function structArray<T>(
  inner: Layout<T>,
  offset: number,
  count: number,
  options: FieldOptions = {},
): Field<T[]> {
  const first = struct(inner, 0);
  return arrayOf('struct', inner.size, inner as Layout<unknown>, first, offset, count, options);
}

function arrayOf<T>(
  type: FieldType,
  stride: number,
  inner: Layout<unknown> | null,
  first: Field<T>,
  offset: number,
  count: number,
  options: FieldOptions,
): Field<T[]> {
  return {
    type,
    offset,
    size: stride * count,
    count,
    cName: options.cName ?? null,
    inner,
    read(view, base) {
      const values: T[] = [];
      for (let index = 0; index < count; index++) values.push(first.read(view, base + offset + index * stride));
      return values;
    },
    write(view, base, values, name = 'value') {
      if (!Array.isArray(values)) refuse(type, values, name);
      if (values.length > count) refuse(type, `${values.length} elements in ${count}`, name);
      values.forEach((value, index) => {
        first.write(view, base + offset + index * stride, value, `${name}[${index}]`);
      });
    },
  };
}

/** A struct in a struct. */
export function struct<T>(inner: Layout<T>, offset: number, options: FieldOptions = {}): Field<T> {
  return {
    type: 'struct',
    offset,
    size: inner.size,
    count: null,
    cName: options.cName ?? null,
    inner: inner as Layout<unknown>,
    read: (view, base) => inner.read(view, base + offset),
    write: (view, base, value, name) => inner.write(view, value, base + offset, name),
  };
}

/**
 * Declares a struct. `cType` is its name in C (`struct kvm_regs`), or `null` for a struct without a name of its own,
 * which only stands inside others. `cMember` names a member of `cType` instead of the whole: the layout is then that
 * member's, with offsets from the member's start. `size` is `sizeof` in bytes.
 */
export function layout<F extends Readonly<Record<string, Field<unknown>>>>(
  cType: string | null,
  size: number,
  fields: F,
  cMember: string | null = null,
): Layout<Decoded<F>> {
  type T = Decoded<F>;
  const typed = fields as unknown as Readonly<{ [K in keyof T]: Field<T[K]> }>;
  const entries = Object.entries(fields);
  const keys = Object.keys(fields);
  const write = (view: DataView, value: Partial<T>, base = 0, name = 'value'): void => {
    if (typeof value !== 'object' || value === null) refuse('struct', value, name);
    const prefix = name === 'value' ? '' : `${name}.`;
    if (ownKeys(value, keys) === null) checkKeys(`${cType ?? 'the struct'} has`, prefix, value, keys);
    for (const [key, field] of entries) {
      const member = value[key as keyof T];
      if (member !== undefined) field.write(view, base, member, prefix + key);
    }
  };
  const read = (view: DataView, base = 0): T => {
    const value: Record<string, unknown> = {};
    for (const [key, field] of entries) value[key] = field.read(view, base);
    return value as T;
  };
  return {
    cType,
    cMember,
    size,
    fields: typed,
    read,
    write,
    encode(value) {
      const buffer = new Uint8Array(size);
      write(new DataView(buffer.buffer), value);
      return buffer;
    },
    decode(buffer) {
      if (!(buffer instanceof Uint8Array)) refuse('struct', buffer, 'bytes');
      if (buffer.byteLength < size) {
        throw new ArgumentError(
          'bytes',
          `${cType ?? 'the struct'} has ${size} bytes, got ${buffer.byteLength}`,
          `Pass a buffer of at least ${size} bytes.`,
        );
      }
      return read(new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength));
    },
  };
}

/** True if `value` is a layout: what the layout tests collect from a module's exports. */
export function isLayout(value: unknown): value is Layout<unknown> {
  return typeof value === 'object' && value !== null && 'fields' in value && 'cType' in value && 'decode' in value;
}

/** What values the fields of a struct can have, one by one. */
export function fieldChecks<T>(of: Layout<T>): { readonly [K in keyof T]: ValueCheck<T[K]> } {
  const entries = Object.entries<Field<unknown>>(of.fields);
  return Object.fromEntries(entries.map(([key, field]) => [key, fieldCheck(field)])) as {
    [K in keyof T]: ValueCheck<T[K]>;
  };
}

/** The field's own: what it can be written with. A struct in it, and a list, has all of its values. */
function fieldCheck(field: Field<unknown>): ValueCheck<unknown> {
  const { inner } = field;
  if (inner !== null && field.count === null)
    return structCheck(`${inner.cType ?? 'the struct'} has`, inner as Layout<object>) as ValueCheck<unknown>;
  const room = new DataView(new ArrayBuffer(field.offset + field.size));
  return (argument, value) => {
    field.write(room, 0, value, argument);
    return value;
  };
}

/** The check of a struct that is given whole. */
export function structCheck<T extends object>(says: string, of: Layout<T>): ObjectCheck<T> {
  return shape(says, fieldChecks(of) as unknown as Shape<T>);
}

/** A property's name as C spells it: `interruptBitmap` is `interrupt_bitmap`. */
export function cNameOf(property: string, field: Field<unknown>): string {
  return field.cName ?? property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * A struct with a count and a flexible array behind it, as KVM_SET_MSRS and KVM_SET_CPUID2 take: `header` with the
 * field `countField` set to the number of `entries`, then the entries.
 */
export function encodeList<H, E>(
  header: Layout<H>,
  countField: keyof H & string,
  element: Layout<E>,
  entries: readonly Partial<E>[],
): Uint8Array<ArrayBuffer> {
  if (!Array.isArray(entries)) refuse('struct', entries, 'entries');
  const buffer = new Uint8Array(header.size + entries.length * element.size);
  const view = new DataView(buffer.buffer);
  header.write(view, { [countField]: entries.length } as Partial<H>);
  entries.forEach((entry, index) => {
    element.write(view, entry, header.size + index * element.size);
  });
  return buffer;
}

/** The entries of such a list: as many as its count says, and no more than the buffer holds. */
export function decodeList<H, E>(
  header: Layout<H>,
  countField: keyof H & string,
  element: Layout<E>,
  buffer: Uint8Array,
): E[] {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  const room = Math.floor((buffer.byteLength - header.size) / element.size);
  const count = Math.min(Number(header.decode(buffer)[countField]), room);
  const entries: E[] = [];
  for (let index = 0; index < count; index++) entries.push(element.read(view, header.size + index * element.size));
  return entries;
}
