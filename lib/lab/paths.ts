/** Where the lab keeps its files. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { packageRoot } from '../base/package.ts';

/** True when this code runs from the checkout's TypeScript sources instead of dist. */
export const runsFromSource = import.meta.url.endsWith('.ts');

/** Everything that the lab keeps: `$XDG_CACHE_HOME/kvm-dsm`, else `~/.cache/kvm-dsm`. */
export function cacheDir(): string {
  // The base directory specification: a relative path is to be ignored.
  const base = process.env.XDG_CACHE_HOME;
  return join(base && isAbsolute(base) ? base : join(homedir(), '.cache'), 'kvm-dsm');
}

/** Finished kernels, one folder each. */
export const kernelsDir = () => join(cacheDir(), 'kernels');

/** The disks that the machines mount, one file each. */
export const mediaDir = () => join(cacheDir(), 'media');

/** What was found out about emulator binaries. */
export const emulatorsFile = () => join(cacheDir(), 'emulators.json');

/** The file whose lock a build holds. Beside the cache's contents, so that removing those does not remove it. */
export const lockFile = () => join(cacheDir(), 'lock');

/** The kernel's inputs in this package: config fragment, patch, files. */
export const kernelInputsDir = join(packageRoot, 'kernel');
