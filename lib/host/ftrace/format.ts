/** How an event of the kernel's lies in the trace: what its `format` file says. Source: Documentation/trace/events.rst. */

/** A member of an event. */
interface Field {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly signed: boolean;
  /** `text`: characters; `located`: a word that says where they lie; `bytes`: an array of something else. */
  readonly kind: 'number' | 'text' | 'located' | 'bytes';
}

export interface EventFormat {
  /** What the first two bytes of such an event are. */
  readonly id: number;
  readonly name: string;
  /** Without those that every event has. */
  readonly fields: readonly Field[];
}

/** A value of a member: numbers of 64 bits as bigint, bytes as hexadecimal text. */
export type FieldValue = number | bigint | string;

/** All that a kprobe adds by itself: addresses of the kernel, which nobody should read in a file that is passed on. */
const ADDRESSES = /^__probe_(?:ip|func|ret_ip)$/;

/** @returns undefined if the text is no such file */
export function parseFormat(text: string): EventFormat | undefined {
  const [, name] = /^name: (\S+)$/m.exec(text) ?? [];
  const [, id] = /^ID: (\d+)$/m.exec(text) ?? [];
  if (name === undefined || id === undefined) return undefined;
  const fields = [...text.matchAll(/^\tfield:([^;]+);\toffset:(\d+);\tsize:(\d+);(?:\tsigned:(\d);)?/gm)].map(
    ([, declared, offset, size, signed]) =>
      fieldOf(declared!, { offset: Number(offset), size: Number(size), signed: signed === '1' }),
  );
  const own = fields.filter((field) => !field.name.startsWith('common_') && !ADDRESSES.test(field.name));
  return { id: Number(id), name, fields: own };
}

function fieldOf(declared: string, place: Omit<Field, 'name' | 'kind'>): Field {
  const [, type, name, length] = /^(.*?)\s*(\w+)(\[[^\]]*\])?$/.exec(declared.trim())!;
  const isText = /\bchar\b/.test(type!);
  if (/^__(?:data|rel)_loc\b/.test(type!)) return { ...place, name: name!, kind: 'located' };
  if (length === undefined && !/\]/.test(type!)) return { ...place, name: name!, kind: 'number' };
  return { ...place, name: name!, kind: isText ? 'text' : 'bytes' };
}

/** The members of an event. What does not fit into its bytes is left out. */
export function readFields({ fields }: EventFormat, record: DataView): Record<string, FieldValue> {
  const values: Record<string, FieldValue> = {};
  for (const field of fields) {
    if (field.offset + field.size > record.byteLength) continue;
    const value = read(field, record);
    if (value !== undefined) values[field.name] = value;
  }
  return values;
}

function read({ kind, offset, size, signed }: Field, record: DataView): FieldValue | undefined {
  if (kind === 'text') return textIn(record, offset, size);
  if (kind === 'bytes') return bytesIn(record, offset, size).toString('hex');
  if (kind === 'located') {
    const word = record.getUint32(offset, true);
    const [from, length] = [word & 0xffff, word >>> 16];
    return from + length <= record.byteLength ? textIn(record, from, length) : undefined;
  }
  switch (size) {
    case 1:
      return signed ? record.getInt8(offset) : record.getUint8(offset);
    case 2:
      return signed ? record.getInt16(offset, true) : record.getUint16(offset, true);
    case 4:
      return signed ? record.getInt32(offset, true) : record.getUint32(offset, true);
    case 8:
      return signed ? record.getBigInt64(offset, true) : record.getBigUint64(offset, true);
    default:
      return bytesIn(record, offset, size).toString('hex');
  }
}

const bytesIn = ({ buffer, byteOffset }: DataView, from: number, size: number) =>
  Buffer.from(buffer, byteOffset + from, size);

function textIn(record: DataView, from: number, size: number): string {
  const bytes = bytesIn(record, from, size);
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? size : end);
}
