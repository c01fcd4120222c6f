/** The busybox of the machines: one that is statically linked, since nothing else is there when it begins. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { programFolders } from '../../host/programs.ts';
import type { LabNeed } from './need.ts';

/** Debian's, Fedora's and Arch's; Alpine's and openSUSE's, where `busybox` itself is linked dynamically. */
const names = ['busybox', 'busybox.static', 'busybox-static'];
const folders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];

/** The content of this machine's statically linked busybox; undefined if it has none. */
export function readBusybox(places = [...folders, ...programFolders()]): Buffer | undefined {
  for (const path of places.flatMap((folder) => names.map((name) => join(folder, name)))) {
    try {
      const image = readFileSync(path);
      if (isStatic(image)) return image;
    } catch {
      // The next place.
    }
  }
  return undefined;
}

/** True if an ELF file has no interpreter: it needs nothing else to run. */
function isStatic(image: Buffer): boolean {
  if (image.toString('latin1', 1, 4) !== 'ELF') return false;
  const at = Number(image.readBigUInt64LE(32));
  const size = image.readUInt16LE(54);
  const count = image.readUInt16LE(56);
  const interpreter = 3;
  for (let index = 0; index < count; index++) {
    if (image.readUInt32LE(at + index * size) === interpreter) return false;
  }
  return true;
}

export const busyboxNeed: LabNeed = {
  name: 'busybox, statically linked',
  isThere: () => readBusybox() !== undefined,
  packages: {
    debian: ['busybox-static'],
    fedora: ['busybox'],
    arch: ['busybox'],
    alpine: ['busybox-static'],
    suse: ['busybox-static'],
  },
};
