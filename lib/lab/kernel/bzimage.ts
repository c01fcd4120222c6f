/** The header of a kernel image. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { LabKernelImageError } from '../errors.ts';

const pickOne = 'Give the path of an x86 bzImage, such as arch/x86/boot/bzImage or /boot/vmlinuz-*.';

/** What the header of a kernel image tells. */
export interface KernelImage {
  path: string;
  bytes: number;
  /** Such as `6.12.117-kvm-dsm`; empty if the image does not tell. */
  release: string;
}

/**
 * Checks that a file is a kernel image that the lab's boot loaders can start.
 *
 * Throws a LabKernelImageError that says what is wrong with it.
 */
export function readKernelImage(path: string): KernelImage {
  const refuse = (what: string, cause?: unknown) =>
    new LabKernelImageError(`the kernel ${path} ${what}`, { advice: pickOne, cause });
  const head = Buffer.alloc(0x8000);
  let bytes: number;
  let length: number;
  try {
    const fd = openSync(path, 'r');
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) throw refuse('is not a file');
      bytes = stat.size;
      length = readSync(fd, head, 0, head.length, 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (error instanceof LabKernelImageError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    throw refuse(code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`, error);
  }
  // Documentation/arch/x86/boot.rst: the boot flag, the header's magic, and LOADED_HIGH, which makes it a bzImage.
  if (length < 0x264 || head.readUInt16LE(0x1fe) !== 0xaa55) throw refuse('is no bzImage: it has no boot flag');
  if (head.toString('latin1', 0x202, 0x206) !== 'HdrS') throw refuse('is no bzImage: it has no "HdrS" header');
  if ((head[0x211]! & 1) === 0) throw refuse('is a zImage, which is loaded low, and no bzImage');
  const setup = ((head[0x1f1]! || 4) + 1) * 512;
  const payload = head.readUInt32LE(0x1f4) * 16;
  if (bytes < setup + payload) {
    throw refuse(`is cut short: its header tells of ${setup + payload} bytes, but it has ${bytes}`);
  }
  return { path, bytes, release: releaseOf(head) };
}

function releaseOf(head: Buffer): string {
  const at = head.readUInt16LE(0x20e) + 0x200;
  if (at === 0x200 || at >= head.length) return '';
  const end = head.indexOf(0, at);
  return head.toString('latin1', at, end < 0 ? at : end).split(' ', 1)[0] ?? '';
}
