/** The kernels in the cache. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LabKernelImageError } from '../errors.ts';
import { kernelInputsDir, kernelsDir } from '../paths.ts';
import { readKernelImage } from './bzimage.ts';
import { debianKernelKey } from './key.ts';
import { defaultSeries, type SeriesName, seriesNames } from './own-series.ts';

/** What is known of a finished kernel. */
export interface KernelInfo {
  key: string;
  /** Such as `6.12.117-kvm-dsm`. */
  release: string;
  /** The version of Debian's source package, or the source tree's path. */
  source: string;
  /** What Debian's source was patched with. Kernels that an earlier version built have none: these are of rfc-v2. */
  series?: SeriesName;
  /** ISO 8601. */
  built: string;
  buildSeconds: number;
  /** Of the bzImage. Kernels that an earlier version built have none: of these, what the image's header says is checked. */
  sha256?: string;
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

/** The cached kernel of a key, if it is whole. */
export function cachedKernel(key: string): CachedKernel | undefined {
  const found = inspect(key);
  return typeof found === 'object' ? found : undefined;
}

/** What is wrong with the cached kernel of a key; undefined if it is whole, or is not there. */
export function kernelDamage(key: string): string | undefined {
  const found = inspect(key);
  return typeof found === 'string' ? found : undefined;
}

/** The folder appears by one rename; what happened to it afterwards is found out here, in some 10 ms. */
function inspect(key: string): CachedKernel | string | undefined {
  const dir = kernelDir(key);
  if (!existsSync(dir)) return undefined;
  const kernel = join(dir, 'bzImage');
  const config = join(dir, 'config');
  const info = readInfo(join(dir, 'info.json'));
  if (info?.key !== key) return 'info.json is not what was written';
  if (!existsSync(config)) return 'config is gone';
  try {
    const { bytes } = readKernelImage(kernel);
    if (info.sha256 !== undefined && info.sha256 !== checksum(kernel)) return 'bzImage is not what was built';
    return { ...info, kernel, config, bytes };
  } catch (error) {
    if (error instanceof LabKernelImageError) return error.message;
    throw error;
  }
}

function readInfo(path: string): KernelInfo | undefined {
  try {
    const info = JSON.parse(readFileSync(path, 'utf8')) as KernelInfo | null;
    return typeof info?.release === 'string' && typeof info.source === 'string' ? info : undefined;
  } catch {
    return undefined;
  }
}

/** The SHA-256 of a file. */
export function checksum(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Every kernel in the cache that is whole. */
export function cachedKernels(): CachedKernel[] {
  return keys()
    .map(cachedKernel)
    .filter((kernel) => kernel !== undefined);
}

function keys(): string[] {
  return existsSync(kernelsDir()) ? readdirSync(kernelsDir()) : [];
}

/** The key of the kernel that this package's inputs and the given version of Debian's source make. */
export function currentKey(sourceVersion: string, series: SeriesName = defaultSeries): string {
  return debianKernelKey(kernelInputsDir, series, sourceVersion);
}

/**
 * Removes kernels of this package's own making that are stale, which that of no series is. Kernels of users' trees stay
 * until `lab clean`.
 */
export function pruneKernels(sourceVersion: string): void {
  const current = new Set(seriesNames.map((series) => currentKey(sourceVersion, series)));
  for (const key of keys()) {
    if (key.startsWith('debian-') && !current.has(key)) rmSync(kernelDir(key), { recursive: true, force: true });
  }
}
