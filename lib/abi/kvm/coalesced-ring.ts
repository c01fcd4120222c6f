/** The ring of coalesced MMIO writes in a vCPU's mapping. Source: include/uapi/linux/kvm.h, struct kvm_coalesced_mmio_ring. */
import { KVM_COALESCED_MMIO_PAGE_OFFSET, kvmCoalescedMmio, kvmCoalescedMmioRing } from './index.ts';

const PAGE = 4096;

/** One write of a guest that the kernel kept back. */
export interface CoalescedWrite {
  /** A guest physical address, or a port if `pio`. */
  physAddr: bigint;
  /** True: a write to a port. */
  pio: boolean;
  /** 1 to 8 bytes. */
  data: Uint8Array;
}

/**
 * Takes the writes out of the ring, oldest first, and makes room for new ones. `mapping` is the vCPU's, from kvm_run on;
 * all vCPUs of a VM share one ring.
 */
export function drainCoalescedRing(mapping: DataView, page = KVM_COALESCED_MMIO_PAGE_OFFSET): CoalescedWrite[] {
  const start = page * PAGE;
  if (mapping.byteLength < start + PAGE) return [];
  const room = Math.floor((PAGE - kvmCoalescedMmioRing.size) / kvmCoalescedMmio.size);
  // The kernel writes an entry, then `last`; it reuses an entry once `first` has passed it: neither may be reordered.
  const indices = new Uint32Array(mapping.buffer, mapping.byteOffset + start, 2);
  const writes: CoalescedWrite[] = [];
  let first = Atomics.load(indices, 0) % room;
  const last = Atomics.load(indices, 1) % room;
  while (first !== last) {
    const at = start + kvmCoalescedMmioRing.size + first * kvmCoalescedMmio.size;
    const { physAddr, len, pio, data } = kvmCoalescedMmio.read(mapping, at);
    writes.push({ physAddr, pio: pio !== 0, data: data.subarray(0, len) });
    first = (first + 1) % room;
  }
  Atomics.store(indices, 0, first);
  return writes;
}
