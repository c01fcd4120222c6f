/** What the lab has and what it lacks, for `lab status`. */
import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { onDisk } from './file-errors.ts';
import { type CachedKernel, cachedKernel, cachedKernels, currentKey, kernelDamage } from './kernel/cache.ts';
import { installedVersions, isDebian, missingPackages } from './kernel/debian.ts';
import { defaultSeries, type SeriesName, seriesNames } from './kernel/own-series.ts';
import { allPackages, kernelSourcePackage, lanePackages } from './kernel/packages.ts';
import { findEmulator } from './lanes/find-emulator.ts';
import { type LaneName, laneNames, lanes } from './lanes/index.ts';
import type { Lane } from './lanes/lane.ts';
import { isLocked } from './lock.ts';
import { cacheDir, lockFile } from './paths.ts';
import type { WarmStatus } from './warm/protocol.ts';
import { warmStatus } from './warm/raise.ts';

/** What is known of a lane. */
export interface LaneStatus {
  usable: boolean;
  /** Why not: one sentence each. */
  reasons: string[];
  emulator: { path: string; kind: string; version: string } | null;
}

/** What is known of the kernel of a series. */
export interface ImageStatus {
  /** missing: never built. stale: built from other inputs than today's; damaged: not what was built. The next run builds anew. */
  state: 'present' | 'stale' | 'damaged' | 'missing';
  /** The key that today's inputs have; null where Debian's kernel source is not installed. */
  key: string | null;
  kernel: CachedKernel | null;
}

/** What the lab has and what it lacks. */
export interface LabStatus {
  version: 1;
  cacheDir: string;
  diskBytes: number;
  /** A build is going on, here or in another process. */
  building: boolean;
  /** The kernel that is booted where no series is named. */
  image: ImageStatus;
  /** The kernel of each series. */
  series: Record<SeriesName, ImageStatus>;
  /** Kernels built from users' trees. */
  treeKernels: CachedKernel[];
  packages: { debian: boolean; missing: string[] };
  lanes: Record<LaneName, LaneStatus>;
  /** The machine that each lane has up; null: none. */
  warm: Record<LaneName, WarmStatus | null>;
}

/** Looks at the lab without changing it. */
export function labStatus(): Promise<LabStatus> {
  return onDisk(look);
}

async function look(): Promise<LabStatus> {
  const debian = isDebian();
  const version = debian ? installedVersions([kernelSourcePackage]).get(kernelSourcePackage) : undefined;
  const kernels = cachedKernels();
  const series = Object.fromEntries(
    seriesNames.map((name) => [name, imageStatus(name, version, kernels)]),
  ) as LabStatus['series'];
  return {
    version: 1,
    cacheDir: cacheDir(),
    diskBytes: diskBytes(cacheDir()),
    building: isLocked(lockFile()),
    image: series[defaultSeries],
    series,
    treeKernels: kernels.filter((kernel) => kernel.key.startsWith('tree-')),
    packages: { debian, missing: debian ? missingPackages(allPackages) : [] },
    lanes: Object.fromEntries(lanes.map((lane) => [lane.name, laneStatus(lane, debian)])) as LabStatus['lanes'],
    warm: Object.fromEntries(
      await Promise.all(laneNames.map(async (name) => [name, await warmStatus(name)])),
    ) as LabStatus['warm'],
  };
}

function imageStatus(series: SeriesName, version: string | undefined, kernels: readonly CachedKernel[]): ImageStatus {
  const key = version === undefined ? null : currentKey(version, series);
  const current = key === null ? undefined : cachedKernel(key);
  const damaged = key !== null && kernelDamage(key) !== undefined;
  const old = kernels.find(
    (kernel) => kernel.key.startsWith('debian-') && (kernel.series ?? defaultSeries) === series && kernel !== current,
  );
  return {
    state: current ? 'present' : damaged ? 'damaged' : old ? 'stale' : 'missing',
    key,
    kernel: current ?? old ?? null,
  };
}

function laneStatus(lane: Lane, debian: boolean): LaneStatus {
  const missing = debian ? missingPackages(lanePackages(lane)) : [];
  const reasons = missing.length > 0 ? [`packages are missing: ${missing.join(' ')}`] : [];
  try {
    const { path, kind, version } = findEmulator(lane);
    return { usable: reasons.length === 0, reasons, emulator: { path, kind, version } };
  } catch (error) {
    return { usable: false, reasons: [...reasons, (error as Error).message], emulator: null };
  }
}

/** Of what is there: other processes make and remove folders meanwhile. */
function diskBytes(dir: string): number {
  let bytes = 0;
  const walk = (at: string) => {
    for (const entry of entriesOf(at)) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) walk(path);
      else bytes += (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
    }
  };
  walk(dir);
  return bytes;
}

function entriesOf(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
