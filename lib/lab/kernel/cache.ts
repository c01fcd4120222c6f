/** The kernels in the cache. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { keepLastUsed, markUsed } from '../cached.ts';
import { LabKernelImageError } from '../errors.ts';
import { kernelsDir } from '../paths.ts';
import { readKernelImage } from './bzimage.ts';
import { kernelInputs } from './inputs.ts';
import { type SourceKind, seriesKernelKey } from './key.ts';
import { defaultSeries, type SeriesName, seriesNames } from './own-series.ts';

/** What is known of a finished kernel. */
export interface KernelInfo {
  /** A hash of what it was made of: the name of its folder in the cache. */
  key: string;
  /** Such as `6.12.117-kvm-dsm`. */
  release: string;
  /** The version of Debian's source package, the name of the tarball, or the source tree's path. */
  source: string;
  /** What the source was patched with: see `seriesOfKernel`. Kernels of Debian's source that an earlier version built have none. */
  series?: SeriesName;
  /** ISO 8601. */
  built: string;
  /** How long it took; 0 of the ready one. */
  buildSeconds: number;
  /** Of the bzImage. Kernels that an earlier version built have none: of these, what the image's header says is checked. */
  sha256?: string;
}

/** A finished kernel: in the cache, or the ready one. */
export interface CachedKernel extends KernelInfo {
  /** It is the one that came with the package of the ready kernel, and was not built here. */
  ready?: true;
  /** The bzImage. */
  kernel: string;
  /** Its .config. */
  config: string;
  /** Of the bzImage. */
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
    return typeof info?.release === 'string' &&
      [info.key, info.source, info.built].every((text) => typeof text === 'string')
      ? info
      : undefined;
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

/** The key of the kernel that this package's inputs and the given source make. */
export function currentKey(source: string, series: SeriesName = defaultSeries, kind?: SourceKind): string {
  return seriesKernelKey(kernelInputs(), series, source, kind);
}

/**
 * The cached kernel of a series that was built from this package's inputs as they are; of several, the newest.
 *
 * @param debianVersion of Debian's source that is here: one of another version is stale then. undefined: it is not here, or
 *   nobody can tell, and one of any version is as good
 */
export function kernelOfSeries(series: SeriesName, debianVersion: string | undefined): CachedKernel | undefined {
  const fitting = keys()
    .flatMap((key) => readInfo(join(kernelDir(key), 'info.json')) ?? [])
    .filter((info) => isOfSeries(info, series, debianVersion))
    .sort((a, b) => b.built.localeCompare(a.built));
  for (const { key } of fitting) {
    const kernel = cachedKernel(key);
    if (kernel) return kernel;
  }
  return undefined;
}

/** What this package has patched its source with; undefined: that had a series already. */
export function seriesOfKernel({ key, series }: KernelInfo): SeriesName | undefined {
  return series ?? (key.startsWith('debian-') ? defaultSeries : undefined);
}

function isOfSeries(info: KernelInfo, series: SeriesName, debianVersion: string | undefined): boolean {
  if (seriesOfKernel(info) !== series) return false;
  const kind = info.key.startsWith('debian-') ? 'debian' : 'tarball';
  if (kind === 'debian' && debianVersion !== undefined && info.source !== debianVersion) return false;
  return info.key === currentKey(info.source, series, kind);
}

/** It is booted: what is stale later goes in the order in which it was used. Nothing where the cache is another user's. */
export function markKernelUsed(key: string): void {
  try {
    markUsed(kernelDir(key));
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Stale kernels that are kept: those of another branch, or of another checkout, which shares the cache. */
const STALE = 3;

/**
 * Removes kernels of Debian's source that are stale, which that of no series is, but for those that were used last. Those of the
 * user's trees and tarballs stay until `lab clean`.
 *
 * @param made the key of the one that has just been built
 */
export function pruneKernels(made: string, debianVersion: string): void {
  const current = new Set(seriesNames.map((series) => currentKey(debianVersion, series)));
  const isStale = (key: string) => key.startsWith('debian-') && !current.has(key);
  keepLastUsed(kernelsDir(), made, STALE + 1, isStale);
}
