/** The kernels in the cache. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { kernelInputsDir, kernelsDir } from '../paths.ts';
import { debianKernelKey } from './key.ts';

/** What is known of a finished kernel. */
export interface KernelInfo {
  key: string;
  /** Such as `6.12.117-kvm-dsm`. */
  release: string;
  /** The version of Debian's source package, or the source tree's path. */
  source: string;
  /** ISO 8601. */
  built: string;
  buildSeconds: number;
}

/** A finished kernel in the cache. */
export interface CachedKernel extends KernelInfo {
  /** The bzImage. */
  kernel: string;
  /** Its .config. */
  config: string;
  bytes: number;
}

/** The folder of a key's kernel. */
export const kernelDir = (key: string) => join(kernelsDir(), key);

/** The cached kernel of a key. The folder appears by one rename, so it is whole if it is there. */
export function cachedKernel(key: string): CachedKernel | undefined {
  const dir = kernelDir(key);
  const kernel = join(dir, 'bzImage');
  if (!existsSync(kernel)) return undefined;
  const info = JSON.parse(readFileSync(join(dir, 'info.json'), 'utf8')) as KernelInfo;
  return { ...info, kernel, config: join(dir, 'config'), bytes: statSync(kernel).size };
}

/** Every kernel in the cache. */
export function cachedKernels(): CachedKernel[] {
  if (!existsSync(kernelsDir())) return [];
  return readdirSync(kernelsDir())
    .map(cachedKernel)
    .filter((kernel) => kernel !== undefined);
}

/** The key of the kernel that this package's inputs and the given version of Debian's source make. */
export function currentKey(sourceVersion: string): string {
  return debianKernelKey(kernelInputsDir, sourceVersion);
}

/** Removes kernels of this package's own making that are stale. Kernels of users' trees stay until `lab clean`. */
export function pruneKernels(keep: string): void {
  for (const { key } of cachedKernels()) {
    if (key.startsWith('debian-') && key !== keep) rmSync(kernelDir(key), { recursive: true, force: true });
  }
}
