/** Files that pass for images of a kernel. */
import { writeFileSync } from 'node:fs';

/** Writes a file with the header of a bzImage, changed by `change`, and returns its path. */
export function kernelImage(path: string, change: (bytes: Buffer) => Buffer | undefined = () => undefined): string {
  const bytes = Buffer.alloc(0x8000);
  bytes[0x1f1] = 3; // setup sectors
  bytes.writeUInt32LE((bytes.length - 4 * 512) / 16, 0x1f4);
  bytes.writeUInt16LE(0xaa55, 0x1fe);
  bytes.write('HdrS', 0x202, 'latin1');
  bytes.writeUInt16LE(0x1000 - 0x200, 0x20e);
  bytes.write('6.12.0-test (someone@somewhere) #1 SMP\0', 0x1000, 'latin1');
  bytes[0x211] = 1;
  writeFileSync(path, change(bytes) ?? bytes);
  return path;
}
