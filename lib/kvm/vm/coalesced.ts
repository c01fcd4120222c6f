/** KVM_REGISTER_COALESCED_MMIO: writes that the kernel keeps back, and the ring that they wait in. */
import { type CoalescedWrite, drainCoalescedRing } from '../../abi/kvm/coalesced-ring.ts';
import { kvmCoalescedMmioZone } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { ArgumentError } from '../../base/errors.ts';
import { boolean, integer, optional, shape, u64 } from '../../base/shape.ts';
import { checkPlace } from '../place.ts';
import type { VmCalls } from './host.ts';

/** A range of addresses whose writes the kernel keeps back in a ring (KVM_REGISTER_COALESCED_MMIO). */
export interface CoalescedZone {
  /** A guest physical address, or a port if `pio`. */
  address: number | bigint;
  /** Bytes, 1 to 2^32-1. */
  size: number;
  /** Ports. Default false: MMIO. */
  pio?: boolean;
}

/** Writes that wait in the VM's ring, which lies in each vCPU's kvm_run. */
export class Coalesced {
  readonly #calls: VmCalls;

  constructor(calls: VmCalls) {
    this.#calls = calls;
  }

  register(zone: CoalescedZone): void {
    this.#calls.ioctl(ioctls.KVM_REGISTER_COALESCED_MMIO, encodeZone(zone));
  }

  unregister(zone: CoalescedZone): void {
    this.#calls.ioctl(ioctls.KVM_UNREGISTER_COALESCED_MMIO, encodeZone(zone));
  }

  /** @param kvmRun of any open vCPU of the VM */
  drain(kvmRun: DataView | undefined): CoalescedWrite[] {
    if (kvmRun) return drainCoalescedRing(kvmRun);
    throw new ArgumentError('vcpus', 'The VM has no open vCPU, and the ring lies in one', 'Call createVcpu() first.');
  }
}

const coalescedZone = shape<CoalescedZone>('a coalesced zone takes', {
  address: u64,
  size: integer(1, 0xffff_ffff),
  pio: optional(boolean),
});

function encodeZone(zone: CoalescedZone): Uint8Array<ArrayBuffer> {
  const { address, size, pio = false } = coalescedZone.take(zone, 'zone');
  return kvmCoalescedMmioZone.encode({ addr: checkPlace(address, pio), size, pio: pio ? 1 : 0 });
}
