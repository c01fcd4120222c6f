/** A kernel image in ELF with a multiboot header, which is what kvm-unit-tests' .flat files are. */
import { ArgumentError } from '../base/errors.ts';

/** A piece of the image in guest physical memory. */
export interface Segment {
  at: number;
  bytes: Uint8Array;
  /** In memory, in bytes: what is beyond `bytes` is zero. */
  size: number;
}

export interface Image {
  /** Guest physical address of the first instruction. */
  entry: number;
  segments: readonly Segment[];
  /** Address behind the last segment. */
  end: number;
}

/** Source: Multiboot Specification 0.6.96, 3.1.1: within the first 8192 bytes, aligned to 4. */
const MAGIC = 0x1bad_b002;
const HEADER_WITHIN = 8192;

const ELF_MAGIC = 0x464c_457f;
const PT_LOAD = 1;
/** e_ident[EI_CLASS] */
const CLASS_32 = 1;
const CLASS_64 = 2;
const MACHINES = new Map([
  [3, CLASS_32],
  [62, CLASS_64],
]);

/**
 * Reads an ELF file for i386 or x86-64.
 *
 * @throws ArgumentError if it is none, or has no multiboot header: the address where it would be started is not its entry then
 */
export function readImage(name: string, file: Buffer): Image {
  const refuse = (why: string) =>
    new ArgumentError(
      'image',
      `${name} is no image of kvm-unit-tests: ${why}`,
      'Give an x86/*.flat that kvm-unit-tests has built.',
    );
  if (file.length < 64 || file.readUInt32LE(0) !== ELF_MAGIC) throw refuse('it is no ELF file');
  const kind = file[4]!;
  if (MACHINES.get(file.readUInt16LE(18)) === undefined || (kind !== CLASS_32 && kind !== CLASS_64))
    throw refuse(`it is made for another machine (e_machine ${file.readUInt16LE(18)})`);
  if (!hasMultiboot(file)) throw refuse('it has no multiboot header');
  const segments = kind === CLASS_64 ? segments64(file) : segments32(file);
  if (segments.length === 0) throw refuse('it has nothing to load');
  for (const { bytes, size } of segments)
    if (bytes.length > size) throw refuse('a segment is larger in the file than in memory');
  const entry = kind === CLASS_64 ? Number(file.readBigUInt64LE(24)) : file.readUInt32LE(24);
  return { entry, segments, end: Math.max(...segments.map(({ at, size }) => at + size)) };
}

function hasMultiboot(file: Buffer): boolean {
  for (let at = 0; at + 12 <= Math.min(file.length, HEADER_WITHIN); at += 4) {
    if (file.readUInt32LE(at) !== MAGIC) continue;
    const sum = MAGIC + file.readUInt32LE(at + 4) + file.readUInt32LE(at + 8);
    if (sum % 2 ** 32 === 0) return true;
  }
  return false;
}

function segments32(file: Buffer): Segment[] {
  const headers = table(file, file.readUInt32LE(28), file.readUInt16LE(42), file.readUInt16LE(44));
  return headers.flatMap((header) => {
    const [type, offset, , address, bytes, size] = [0, 4, 8, 12, 16, 20].map((at) => header.readUInt32LE(at)) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    return type === PT_LOAD && size > 0 ? [{ at: address, bytes: file.subarray(offset, offset + bytes), size }] : [];
  });
}

function segments64(file: Buffer): Segment[] {
  const headers = table(file, Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56));
  return headers.flatMap((header) => {
    const [offset, , address, bytes, size] = [8, 16, 24, 32, 40].map((at) => Number(header.readBigUInt64LE(at))) as [
      number,
      number,
      number,
      number,
      number,
    ];
    return header.readUInt32LE(0) === PT_LOAD && size > 0
      ? [{ at: address, bytes: file.subarray(offset, offset + bytes), size }]
      : [];
  });
}

function table(file: Buffer, offset: number, entry: number, count: number): Buffer[] {
  return Array.from({ length: count }, (_, at) => file.subarray(offset + at * entry, offset + (at + 1) * entry)).filter(
    (header) => header.length === entry && entry >= 32,
  );
}
