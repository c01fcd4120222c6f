/** What every lane starts from, in the folder of one run, in which its emulator works. */
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Puts it in. */
export function fillRunFolder(dir: string, initramfs: Buffer, medium: string): void {
  symlinkSync(medium, join(dir, 'medium.iso'));
  writeFileSync(join(dir, 'initrd'), initramfs);
}
