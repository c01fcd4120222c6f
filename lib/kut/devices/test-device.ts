/** The devices that QEMU has for kvm-unit-tests. Source: QEMU, hw/misc/pc-testdev.c and hw/misc/debugexit.c. */
import type { PortBus } from './bus.ts';

/** What is written there ends the run: 0 is success. */
const EXIT = 0xf4;
/** Keeps what is written, and gives it back. */
const ECHO = 0xe0;
/** Takes the page of a physical address away from the guest and gives it back, so that the next access of it exits. */
const FLUSH = 0xe4;
const ECHO_BYTE = 0xe8;
/** One port per line of the interrupt controllers: its level. */
const LINES = 0x2000;
const LINE_COUNT = 24;

/** Memory that leaves the guest at each access. */
export const TEST_MEMORY = 0xff00_0000;
export const TEST_MEMORY_SIZE = 0x1_0000;

export interface TestDeviceHost {
  exit(code: number): void;
  line(gsi: number, level: boolean): void;
  flush(): void;
}

export function attachTestDevice(bus: PortBus, host: TestDeviceHost): void {
  bus.attach(EXIT, 4, { write: (offset, value) => offset === 0 && host.exit(value) });
  let kept = 0;
  bus.attach(ECHO, 4, {
    // The part that the access names.
    read: (offset) => kept >>> (offset * 8),
    write(offset, value, size) {
      const mask = ((2 ** (size * 8) - 1) << (offset * 8)) >>> 0;
      kept = (((value << (offset * 8)) & mask) | (kept & ~mask)) >>> 0;
    },
  });
  bus.attach(FLUSH, 4, { write: () => host.flush() });
  let byte = 0;
  bus.attach(ECHO_BYTE, 1, {
    read: () => byte,
    write(_offset, value) {
      byte = value;
    },
  });
  bus.attach(LINES, LINE_COUNT, { write: (gsi, value) => host.line(gsi, value !== 0) });
}

/** The 64 KiB at `TEST_MEMORY`. */
export class TestMemory {
  readonly #bytes = Buffer.alloc(TEST_MEMORY_SIZE);

  /** As many bytes as fit; `null`: it is elsewhere. */
  at(address: bigint, length: number): Buffer | null {
    const offset = Number(address - BigInt(TEST_MEMORY));
    return offset >= 0 && offset + length <= TEST_MEMORY_SIZE ? this.#bytes.subarray(offset, offset + length) : null;
  }
}
