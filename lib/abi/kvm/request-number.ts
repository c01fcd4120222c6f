/** The codec of ioctl request numbers: `_IO`, `_IOR`, `_IOW`, `_IOWR` (include/uapi/asm-generic/ioctl.h). */
import { ArgumentError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';

/** The ioctl type ("magic") byte of every KVM request. */
export const KVMIO = 0xae;

/** Where an ioctl's argument goes, seen from user space: `write` is passed in, `read` is filled by the kernel. */
export type IoctlDirection = 'none' | 'write' | 'read' | 'readWrite';

/** The parts of a request number. `size` is the argument's size in bytes, 0..16383. */
export interface IoctlParts {
  dir: IoctlDirection;
  type: number;
  nr: number;
  size: number;
}

/** Index = the two top bits of the number: _IOC_NONE 0, _IOC_WRITE 1, _IOC_READ 2. */
const directions = ['none', 'write', 'read', 'readWrite'] as const;

/** The request number of `parts`: dir 31:30, size 29:16, type 15:8, nr 7:0. Throws ArgumentError if a part is too big. */
export function encodeIoctl({ dir, type, nr, size }: IoctlParts): number {
  for (const [name, value, limit] of [
    ['type', type, 0xff],
    ['nr', nr, 0xff],
    ['size', size, 0x3fff],
  ] as const) {
    if (!Number.isInteger(value) || value < 0 || value > limit) {
      throw new ArgumentError(
        name,
        `an ioctl's ${name} is 0..${limit}, got ${show(value)}`,
        `Pass an integer from 0 to ${limit}.`,
      );
    }
  }
  return ((directions.indexOf(dir) << 30) | (size << 16) | (type << 8) | nr) >>> 0;
}

/** The parts of a 32-bit request number. */
export function decodeIoctl(request: number): IoctlParts {
  return {
    dir: directions[(request >>> 30) as 0 | 1 | 2 | 3],
    type: (request >>> 8) & 0xff,
    nr: request & 0xff,
    size: (request >>> 16) & 0x3fff,
  };
}

/** `_IO(KVMIO, nr)`: no argument, or a plain integer. */
export function _IO(nr: number, type = KVMIO): number {
  return encodeIoctl({ dir: 'none', type, nr, size: 0 });
}

/** `_IOR(KVMIO, nr, ...)` with an argument of `size` bytes. */
export function _IOR(nr: number, size: number, type = KVMIO): number {
  return encodeIoctl({ dir: 'read', type, nr, size });
}

/** `_IOW(KVMIO, nr, ...)` with an argument of `size` bytes. */
export function _IOW(nr: number, size: number, type = KVMIO): number {
  return encodeIoctl({ dir: 'write', type, nr, size });
}

/** `_IOWR(KVMIO, nr, ...)` with an argument of `size` bytes. */
export function _IOWR(nr: number, size: number, type = KVMIO): number {
  return encodeIoctl({ dir: 'readWrite', type, nr, size });
}
