/** KVM_IOEVENTFD: an event that a guest's write signals. */
import {
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
  kvmIoeventfd,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInstance } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { boolean, oneOf, optional, shape, u64 } from '../../base/shape.ts';
import { EventFd } from '../eventfd.ts';
import { checkPlace } from '../place.ts';
import type { VmCalls } from './host.ts';

/** Where a guest's write signals an event (KVM_IOEVENTFD). */
export interface IoEvent {
  /** A guest physical address, or a port if `pio`. */
  address: number | bigint;
  /** A port. Default false: MMIO. */
  pio?: boolean;
  /** Bytes of the write: 1, 2, 4, 8; 0 for any. */
  length: 0 | 1 | 2 | 4 | 8;
  /** Only a write of this value signals. */
  datamatch?: number | bigint;
}

const ioEvent = shape<IoEvent>('an ioeventfd takes', {
  address: u64,
  pio: optional(boolean),
  length: oneOf([0, 1, 2, 4, 8]),
  datamatch: optional(u64),
});

/** The events that a guest's writes signal. */
export class Ioeventfds {
  readonly #calls: VmCalls;

  constructor(calls: VmCalls) {
    this.#calls = calls;
  }

  assign(event: EventFd, where: IoEvent): void {
    this.#set(event, where, 0);
  }

  deassign(event: EventFd, where: IoEvent): void {
    this.#set(event, where, KVM_IOEVENTFD_FLAG_DEASSIGN);
  }

  #set(event: EventFd, where: IoEvent, more: number): void {
    checkInstance('event', event, EventFd);
    const { address, datamatch, pio = false, length } = ioEvent.take(where, 'where');
    const addr = checkPlace(address, pio);
    if (datamatch !== undefined && length === 0)
      throw new ArgumentError('datamatch', 'A write of any length has no value to match', 'Give a length.');
    const flags = (pio ? KVM_IOEVENTFD_FLAG_PIO : 0) | (datamatch === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH);
    const argument = kvmIoeventfd.encode({
      addr,
      len: length,
      flags: flags | more,
      datamatch: BigInt(datamatch ?? 0n),
    });
    this.#calls.call(ioctls.KVM_IOEVENTFD, (native) => native.ioeventfd(event.native, argument));
  }
}
