/** Port I/O and MMIO: what the guest touched that neither memory nor the kernel has. */
import { KVM_EXIT_IO_IN } from '../abi/kvm/exit-reason.ts';
import { RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { bytes, fieldChecks, layout, u8, u16, u32, u64 } from '../abi/layout.ts';
import { boolean, bytes as bytesField, oneOf } from '../base/shape.ts';
import { hex, hexBytes, plural } from '../base/text.ts';
import type { Kinds, Named } from './family.ts';

/** KVM_EXIT_IO. `size` in bytes; `dataOffset` in bytes from the start of kvm_run. */
export const runIo = layout(
  'struct kvm_run',
  16,
  { direction: u8(0), size: u8(1), port: u16(2), count: u32(4), dataOffset: u64(8) },
  'io',
);

/** KVM_EXIT_MMIO. `len` in bytes, at most 8. */
export const runMmio = layout(
  'struct kvm_run',
  24,
  { physAddr: u64(0), data: bytes(8, 8), len: u32(16), isWrite: u8(20) },
  'mmio',
);

/** The guest used a port. */
export interface IoExit extends Named<'KVM_EXIT_IO'> {
  /** Of the guest: `in` waits for an answer, `out` has written. */
  direction: 'in' | 'out';
  /** Bytes per access: 1, 2 or 4. */
  size: number;
  /** The first port of the access, 0 to 0xffff. */
  port: number;
  /** Accesses: more than one for INS and OUTS. */
  count: number;
  /** Where the data lie, in bytes from the start of kvm_run; user space writes the answer of an `in` there. */
  dataOffset: bigint;
  /**
   * A copy of the size * count bytes, or of as many of them as the mapping has. Of an `in`: all ones, which the guest gets
   * unless somebody answers.
   */
  data: Uint8Array;
}

/** The guest touched an address that no memory and no in-kernel device has. */
export interface MmioExit extends Named<'KVM_EXIT_MMIO'> {
  /** Guest physical address of the first byte. */
  physAddr: bigint;
  /** Bytes, at most 8. */
  len: number;
  /** False: a read, which waits for an answer. */
  isWrite: boolean;
  /** The `len` bytes, at most 8. Of a read: all ones, which the guest gets unless somebody answers. */
  data: Uint8Array;
}

export type IoExits = IoExit | MmioExit;

/** No exit has more data than a page. */
const PAGE = 4096;

const io = runIo.fields;
const mmio = runMmio.fields;
/** Where KVM has its page for port I/O; no BigInt is made for it at each exit. */
const [USUAL_OFFSET, usualOffset] = [PAGE, BigInt(PAGE)];

/**
 * A KVM_EXIT_IO, from wherever its payload lies: in kvm_run, or in a record of one.
 *
 * @param payload where in the view, in bytes
 * @param dataAt where its data lie; default: where the payload says
 */
export function decodeIo(view: DataView, reason: number, payload: number, dataAt?: number): IoExit {
  const size = view.getUint8(payload + io.size.offset);
  const count = view.getUint32(payload + io.count.offset, true);
  const offset = view.getUint32(payload + io.dataOffset.offset, true);
  const isUsual = offset === USUAL_OFFSET && view.getUint32(payload + io.dataOffset.offset + 4, true) === 0;
  const dataOffset = isUsual ? usualOffset : view.getBigUint64(payload + io.dataOffset.offset, true);
  const start = dataAt ?? (isUsual || dataOffset < BigInt(view.byteLength) ? Number(dataOffset) : view.byteLength);
  return {
    name: 'KVM_EXIT_IO',
    reason,
    direction: view.getUint8(payload + io.direction.offset) === KVM_EXIT_IO_IN ? 'in' : 'out',
    size,
    port: view.getUint16(payload + io.port.offset, true),
    count,
    dataOffset,
    data: copyOf(view, start, size * count),
  };
}

/** A KVM_EXIT_MMIO likewise. */
export function decodeMmio(view: DataView, reason: number, payload: number): MmioExit {
  const len = view.getUint32(payload + mmio.len.offset, true);
  return {
    name: 'KVM_EXIT_MMIO',
    reason,
    physAddr: view.getBigUint64(payload + mmio.physAddr.offset, true),
    len,
    isWrite: view.getUint8(payload + mmio.isWrite.offset) !== 0,
    data: copyOf(view, payload + mmio.data.offset, Math.min(len, 8)),
  };
}

/** As many of the bytes as the view has. A few are copied one by one: to make a view of them costs more. */
function copyOf(view: DataView, start: number, bytes: number): Uint8Array {
  const length = Math.max(0, Math.min(bytes, view.byteLength - start));
  if (length > 16) return new Uint8Array(view.buffer, view.byteOffset + start, length).slice();
  const copy = new Uint8Array(length);
  for (let at = 0; at < length; at++) copy[at] = view.getUint8(start + at);
  return copy;
}

export const ioExits: Kinds<IoExits> = {
  KVM_EXIT_IO: {
    fields: { ...fieldChecks(runIo), direction: oneOf(['in', 'out']), data: bytesField(0, PAGE) },
    decode: (view, reason) => decodeIo(view, reason, RUN_UNION_OFFSET),
    text({ direction, size, port, count, data }) {
      const what = `${direction} ${plural(size, 'byte')} ${direction === 'out' ? 'to' : 'from'} port ${hex(port)}`;
      const times = count === 1 ? '' : `, ${count} times`;
      return `${what}${times}${direction === 'out' ? `: ${hexBytes(data)}` : ''}`;
    },
    // But for an `in`, which waits for its answer: the thread asks for the direction.
    goesOnByItself: true,
  },
  KVM_EXIT_MMIO: {
    fields: { ...fieldChecks(runMmio), isWrite: boolean },
    decode: (view, reason) => decodeMmio(view, reason, RUN_UNION_OFFSET),
    text: ({ isWrite, len, physAddr, data }) =>
      isWrite
        ? `wrote ${plural(len, 'byte')} to ${hex(physAddr)}: ${hexBytes(data)}`
        : `read ${plural(len, 'byte')} from ${hex(physAddr)}`,
    goesOnByItself: true,
  },
};
