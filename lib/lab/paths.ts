/** Where the lab keeps its files. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { LabFolderError } from './errors.ts';

/** Everything that the lab keeps: `$XDG_CACHE_HOME/kvm-dsm`, else `~/.cache/kvm-dsm`. Throws a LabFolderError. */
export function cacheDir(): string {
  // The base directory specification: a relative path is to be ignored.
  const base = process.env.XDG_CACHE_HOME;
  return join(base && isAbsolute(base) ? base : join(home(), '.cache'), 'kvm-dsm');
}

function home(): string {
  const dir = homedir();
  if (isAbsolute(dir) && existsSync(dir)) return dir;
  const what = isAbsolute(dir) ? 'which is not there' : 'which is no absolute path';
  throw new LabFolderError(`the lab keeps its files in the home folder, and HOME is ${JSON.stringify(dir)}, ${what}`, {
    advice: 'Set HOME, or let XDG_CACHE_HOME name a folder for caches by its absolute path.',
  });
}

/** Finished kernels, one folder each. */
export const kernelsDir = () => join(cacheDir(), 'kernels');

/** The disks that the machines mount, one file each. */
export const mediaDir = () => join(cacheDir(), 'media');

/** Machines that have booted, one folder each. */
export const snapshotsDir = () => join(cacheDir(), 'snapshots');

/** What was found out about emulator binaries. */
export const emulatorsFile = () => join(cacheDir(), 'emulators.json');

/** The file whose lock a build holds. Beside the cache's contents, so that removing those does not remove it. */
export const lockFile = () => join(cacheDir(), 'lock');
