/** A PCI function that VFIO drives: its IRQs and its regions. */
import {
  VFIO_DEVICE_FLAGS_PCI,
  VFIO_DEVICE_FLAGS_RESET,
  VFIO_IRQ_INFO_AUTOMASKED,
  VFIO_IRQ_INFO_EVENTFD,
  VFIO_IRQ_INFO_MASKABLE,
  VFIO_IRQ_SET_ACTION_MASK,
  VFIO_IRQ_SET_ACTION_TRIGGER,
  VFIO_IRQ_SET_ACTION_UNMASK,
  VFIO_PCI_BAR5_REGION_INDEX,
  VFIO_PCI_CONFIG_REGION_INDEX,
} from '../../abi/vfio.ts';
import { checkChoice, checkInstance, checkInteger, checkList } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { EventFd } from '../eventfd.ts';
import type { NativeVfioFile } from '../native.ts';
import { VfioFile } from './file.ts';

const U32 = 0xffff_ffff;
/** PCI's limit for one function. */
const MAX_IRQS = 2048;

/** VFIO_DEVICE_GET_INFO. */
export interface VfioDeviceInfo {
  /** It is a PCI function. */
  pci: boolean;
  /** VFIO_DEVICE_RESET is offered. */
  reset: boolean;
  /** How many regions: BARs, ROM, configuration space and the like, whether it has them or not. */
  regions: number;
  /** How many indices of IRQs. */
  irqs: number;
}

/** VFIO_DEVICE_GET_IRQ_INFO of an index. */
export interface VfioIrqInfo {
  /** How many IRQs: their subindices are from 0 on. */
  count: number;
  /** An eventfd can be signalled. */
  eventfd: boolean;
  /** `maskIrq` and `unmaskIrq` work. */
  maskable: boolean;
  /** The IRQ masks itself when it has come, until it is unmasked. */
  automasked: boolean;
}

/** A function that VFIO drives, opened. */
export class VfioDevice extends VfioFile {
  /** Of the PCI function, such as `0000:00:02.0`. */
  readonly address: string;

  /** @internal A device comes from `group.openDevice()`. */
  constructor(native: NativeVfioFile, address: string) {
    super(native, `the VFIO device ${address}`);
    this.address = address;
  }

  /** VFIO_DEVICE_GET_INFO. Throws IoctlError; ClosedError. */
  info(): VfioDeviceInfo {
    const [flags, regions, irqs] = this.take('VFIO_DEVICE_GET_INFO', (native) => native.deviceInfo());
    return {
      pci: (flags! & VFIO_DEVICE_FLAGS_PCI) !== 0,
      reset: (flags! & VFIO_DEVICE_FLAGS_RESET) !== 0,
      regions: regions!,
      irqs: irqs!,
    };
  }

  /**
   * VFIO_DEVICE_GET_IRQ_INFO.
   *
   * @param index of `vfioPciIrqs`
   * @throws IoctlError (EINVAL for an index that there is not); ArgumentError; ClosedError
   */
  irqInfo(index: number): VfioIrqInfo {
    checkInteger('index', index, 0, U32);
    const [flags, count] = this.take('VFIO_DEVICE_GET_IRQ_INFO', (native) => native.irqInfo(index));
    return {
      count: count!,
      eventfd: (flags! & VFIO_IRQ_INFO_EVENTFD) !== 0,
      maskable: (flags! & VFIO_IRQ_INFO_MASKABLE) !== 0,
      automasked: (flags! & VFIO_IRQ_INFO_AUTOMASKED) !== 0,
    };
  }

  /**
   * VFIO_DEVICE_SET_IRQS: the IRQs from subindex `start` on signal these events, or none where the list has `null`. The
   * first call switches the index on, and no two can be on at once.
   *
   * @param events 1 to 2048
   * @throws ArgumentError; IoctlError (VFIO_DEVICE_SET_IRQS: EINVAL, EBUSY)
   */
  signalIrqs(index: number, events: readonly (EventFd | null)[], start = 0): void {
    if (checkList('events', events, MAX_IRQS).length === 0)
      throw new ArgumentError('events', 'There are no events', 'Call disableIrqs() to switch an index off.');
    const natives = events.map((event) => (event === null ? null : checkInstance('events', event, EventFd).native));
    this.#setIrqs(VFIO_IRQ_SET_ACTION_TRIGGER, index, start, natives);
  }

  /** VFIO_DEVICE_SET_IRQS: switches all IRQs of an index off. Throws IoctlError (EINVAL if the index is not on). */
  disableIrqs(index: number): void {
    this.#setIrqs(VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0);
  }

  /** VFIO_DEVICE_SET_IRQS: signals the events of `count` IRQs as if they had come. Throws IoctlError (EINVAL). */
  triggerIrqs(index: number, start = 0, count = 1): void {
    this.#setIrqs(VFIO_IRQ_SET_ACTION_TRIGGER, index, start, checkInteger('count', count, 1, MAX_IRQS));
  }

  /** VFIO_DEVICE_SET_IRQS: INTx alone can be masked. Throws IoctlError (ENOTTY, EINVAL while it is off). */
  maskIrq(index: number): void {
    this.#setIrqs(VFIO_IRQ_SET_ACTION_MASK, index, 0, 1);
  }

  /** VFIO_DEVICE_SET_IRQS: undoes `maskIrq`, and the mask of an INTx that has come. */
  unmaskIrq(index: number): void {
    this.#setIrqs(VFIO_IRQ_SET_ACTION_UNMASK, index, 0, 1);
  }

  #setIrqs(action: number, index: number, start: number, events: Parameters<NativeVfioFile['setIrqs']>[3]): void {
    checkInteger('index', index, 0, U32);
    checkInteger('start', start, 0, U32);
    this.ask('VFIO_DEVICE_SET_IRQS', (native) => native.setIrqs(action, index, start, events));
  }

  /**
   * VFIO_DEVICE_GET_REGION_INFO: bytes of a BAR or of the configuration space; 0 for one that the function lacks.
   *
   * @param region 0 to 5, the BARs, or 7, the configuration space
   */
  regionSize(region: number): number {
    this.#checkRegion(region);
    return this.take('VFIO_DEVICE_GET_REGION_INFO', (native) => native.regionInfo(region))[1]!;
  }

  /**
   * A little-endian number from a region.
   *
   * @param offset bytes
   * @throws ArgumentError; IoctlError (pread: ERANGE outside the region, EINVAL, EIO)
   */
  read(region: number, offset: number, size: 1 | 2 | 4): number {
    this.#checkRegion(region);
    const bytes = new DataView(new ArrayBuffer(4));
    this.#access('pread', offset, size, (native) =>
      native.readRegion(region, offset, new Uint8Array(bytes.buffer, 0, size)),
    );
    return bytes.getUint32(0, true);
  }

  /**
   * Writes one to a BAR. The configuration space is not to be written: what it can make a function do without an IOMMU,
   * this machine would not survive.
   */
  write(bar: number, offset: number, size: 1 | 2 | 4, value: number): void {
    checkInteger('bar', bar, 0, VFIO_PCI_BAR5_REGION_INDEX);
    const bytes = new DataView(new ArrayBuffer(4));
    bytes.setUint32(
      0,
      checkInteger('value', value, 0, 2 ** (8 * checkChoice<number>('size', size, [1, 2, 4])) - 1),
      true,
    );
    this.#access('pwrite', offset, size, (native) =>
      native.writeRegion(bar, offset, new Uint8Array(bytes.buffer, 0, size)),
    );
  }

  #checkRegion(region: number): void {
    checkChoice('region', region, [0, 1, 2, 3, 4, VFIO_PCI_BAR5_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX]);
  }

  #access(call: string, offset: number, size: number, access: (native: NativeVfioFile) => number): void {
    checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    checkChoice('size', size, [1, 2, 4]);
    this.ask(call, access);
  }
}
