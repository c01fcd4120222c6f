/** The ready kernel: a package of its own that has the image of the default series, so that nothing need be built. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../base/package.ts';
import { type CachedKernel, checksum, currentKey } from './cache.ts';
import { defaultSeries, type SeriesName } from './own-series.ts';

/** The name of the package. It is optional, and found as any package that is installed beside this one. */
export const readyPackage = 'kvm-dsm-lab-kernel';

/** `manifest.json` of that package: what the image is, and what it was made from. */
export interface ReadyManifest {
  version: 1;
  series: SeriesName;
  /** As lib/lab/kernel/key.ts names the kernel of the series over `source.version`. */
  key: string;
  /** Such as `6.12.117-kvm-dsm`. */
  release: string;
  source: { package: string; version: string; archive: string };
  bzImage: { bytes: number; sha256: string };
  config: { sha256: string };
  /** The first line that each tells of its version: another one may make another image of the same sources. */
  tools: Record<string, string>;
}

/** What is known of the ready kernel of a series. */
export type ReadyState =
  /** Made from the sources that are here. */
  | { state: 'fits'; kernel: CachedKernel }
  /** absent: no such package is here, or the series is another one. other: made from other sources. damaged: not what its manifest says. */
  | { state: 'absent' | 'other' | 'damaged'; reason: string };

/** The folder of the package: of a checkout its own, else the one that is installed; undefined if there is none. */
export function readyFolder(): string | undefined {
  const own = join(packageRoot, 'packages/lab-kernel');
  if (existsSync(join(own, 'manifest.json'))) return own;
  try {
    return dirname(createRequire(join(packageRoot, 'package.json')).resolve(`${readyPackage}/manifest.json`));
  } catch {
    return undefined;
  }
}

/**
 * Looks for the ready kernel of a series, and checks it: its key, and the SHA-256 of its files.
 *
 * @param folder of the package
 */
export function readyKernel(series: SeriesName, folder = readyFolder()): ReadyState {
  if (series !== defaultSeries) return { state: 'absent', reason: `there is no ready kernel of ${series}` };
  if (folder === undefined)
    return { state: 'absent', reason: `the package ${readyPackage}, which has a kernel ready, is not installed` };
  const path = join(folder, 'manifest.json');
  const manifest = readManifest(path);
  if (!manifest) return { state: 'damaged', reason: `${path} is no manifest of a ready kernel` };
  const { key, release, source, bzImage, config } = manifest;
  if (manifest.series !== series || key !== currentKey(source.version, series))
    return { state: 'other', reason: `the ready kernel in ${folder} was made from other sources than this package's` };
  const kernel = join(folder, 'bzImage');
  const configPath = join(folder, 'config');
  for (const [file, sha256] of [
    [kernel, bzImage.sha256],
    [configPath, config.sha256],
  ] as const)
    if (sumOf(file) !== sha256)
      return { state: 'damaged', reason: `${file} does not have the SHA-256 that manifest.json tells` };
  const { size } = statSync(kernel);
  // What the image tells of its build, which is the same of every build.
  const built = { built: new Date(0).toISOString(), buildSeconds: 0 };
  const info = { key, release, source: source.version, series, ...built, sha256: bzImage.sha256 };
  return { state: 'fits', kernel: { ready: true, ...info, kernel, config: configPath, bytes: size } };
}

function sumOf(path: string): string | undefined {
  try {
    return checksum(path);
  } catch {
    return undefined;
  }
}

/** Reads a manifest; undefined if it is none. */
export function readManifest(path: string): ReadyManifest | undefined {
  try {
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as ReadyManifest | null;
    const texts = [
      manifest?.key,
      manifest?.release,
      manifest?.source?.version,
      manifest?.bzImage?.sha256,
      manifest?.config?.sha256,
    ];
    return manifest?.version === 1 && texts.every((text) => typeof text === 'string') ? manifest : undefined;
  } catch {
    return undefined;
  }
}
