/** The folder of one run, in which its emulator works. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const prefix = 'kvm-dsm-lab-';

/** Makes one. Those of processes that were killed are removed. */
export function makeRunFolder(): string {
  // A socket's path may have 107 bytes.
  const base = tmpdir().length < 60 ? tmpdir() : '/tmp';
  for (const name of readdirSync(base)) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) rmSync(join(base, name), { recursive: true, force: true });
  }
  mkdirSync(base, { recursive: true });
  const dir = mkdtempSync(join(base, `${prefix}${process.pid}-`));
  writeFileSync(join(dir, 'pid'), String(process.pid));
  return dir;
}

/** Puts in what every lane starts from. */
export function fillRunFolder(dir: string, initramfs: Buffer, medium: string): void {
  symlinkSync(medium, join(dir, 'medium.iso'));
  writeFileSync(join(dir, 'initrd'), initramfs);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
