/** KVM_GET_STATS_FD: what the kernel counts. Source: Documentation/virt/kvm/api.rst. */
import { kvmStatsHeader } from '../abi/kvm/index.ts';
import { kvmStatsDesc, statBases, statTypes, statUnits } from '../abi/kvm/stats.ts';
import { systemCallError } from './limit.ts';
import { type NativeHandle, type NativeStats, statsOf, translated } from './native.ts';

/** One statistic that the kernel keeps of a VM or a vCPU. */
export interface Stat {
  /** The kernel's name, such as `exits` or `halt_wait_ns`. */
  name: string;
  /** `null` for a type that is younger than this package. */
  type: (typeof statTypes)[number] | null;
  /** What `values` count; `none` for a number of events. `null` for a unit that is younger than this package. */
  unit: (typeof statUnits)[number] | null;
  /** The value counts in `unit` times this: 1e-9 with seconds is nanoseconds. */
  scale: number;
  /** One value; the buckets of a histogram. */
  values: bigint[];
  /** The width of a linear histogram's buckets, in `unit` times `scale`; 0 otherwise. */
  bucketSize: number;
}

/** KVM_GET_STATS_FD of an open VM or vCPU, read once: every statistic by name. */
export function readStats(handle: NativeHandle): Map<string, Stat> {
  const native = statsOf(handle);
  if (typeof native === 'number') throw systemCallError('KVM_GET_STATS_FD', -native);
  try {
    return decodeStats((offset, size) => readAt(native, offset, size));
  } finally {
    native.close();
  }
}

function readAt(native: NativeStats, offset: number, size: number): Uint8Array {
  const buffer = new Uint8Array(size);
  const got = translated(() => native.read(offset, buffer));
  return buffer.subarray(0, got);
}

/** `read` gives up to `size` bytes of the file at `offset`. */
export function decodeStats(read: (offset: number, size: number) => Uint8Array): Map<string, Stat> {
  const header = kvmStatsHeader.decode(read(0, kvmStatsHeader.size));
  const stride = kvmStatsDesc.size + header.nameSize;
  const descriptors = read(header.descOffset, stride * header.numDesc);
  const described = Array.from({ length: Math.floor(descriptors.length / stride) }, (_, index) => {
    const at = descriptors.subarray(index * stride, (index + 1) * stride);
    const name = new TextDecoder().decode(at.subarray(kvmStatsDesc.size)).replace(/\0.*$/s, '');
    return { name, ...kvmStatsDesc.decode(at) };
  });
  const end = Math.max(0, ...described.map(({ offset, size }) => offset + size * 8));
  const data = read(header.dataOffset, end);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const stats = new Map<string, Stat>();
  for (const { name, flags, exponent, size, offset, bucketSize } of described) {
    const values: bigint[] = [];
    for (let at = offset; at < offset + size * 8 && at + 8 <= view.byteLength; at += 8)
      values.push(view.getBigUint64(at, true));
    stats.set(name, {
      name,
      type: statTypes[flags & 0xf] ?? null,
      unit: statUnits[(flags >>> 4) & 0xf] ?? null,
      scale: (statBases[((flags >>> 8) & 0xf) as 0] ?? 10) ** exponent,
      values,
      bucketSize,
    });
  }
  return stats;
}
