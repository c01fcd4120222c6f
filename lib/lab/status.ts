/** What the lab has and what it lacks, for `lab status`. */
import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { onDisk } from './file-errors.ts';
import {
  type CachedKernel,
  cachedKernels,
  currentKey,
  kernelDamage,
  kernelOfSeries,
  seriesOfKernel,
} from './kernel/cache.ts';
import { isDebian } from './kernel/debian.ts';
import { defaultSeries, type SeriesName, seriesNames } from './kernel/own-series.ts';
import { type ReadyState, readyKernel } from './kernel/ready.ts';
import { findEmulator } from './lanes/find-emulator.ts';
import { type LaneName, laneNames, lanes } from './lanes/index.ts';
import type { Lane } from './lanes/lane.ts';
import { isLocked } from './lock.ts';
import { debianSource, debianSourceVersion, tarballNeeds } from './needs/building.ts';
import { thisDistribution } from './needs/distribution.ts';
import { packagesFor } from './needs/install.ts';
import { laneNeeds } from './needs/machine.ts';
import { type LabNeed, lackingOf } from './needs/need.ts';
import { cacheDir, lockFile } from './paths.ts';
import type { WarmStatus } from './warm/protocol.ts';
import { warmStatus } from './warm/raise.ts';

/** What is known of a lane. */
export interface LaneStatus {
  /** Its emulator and the packages that it needs are here. */
  usable: boolean;
  /** Why not: one sentence each. */
  reasons: string[];
  /** The one that a run would take; null: none is here that the lab can use. */
  emulator: {
    /** Of the binary. */
    path: string;
    /** `bochs` or `qemu`. */
    kind: string;
    /** As it says itself. */
    version: string;
  } | null;
}

/** What is known of the kernel of a series. */
export interface ImageStatus {
  /** present: a run boots it. missing: never built. stale: built from other inputs than today's; damaged: not what was built. The next run builds anew. */
  state: 'present' | 'stale' | 'damaged' | 'missing';
  /** It is the one that came with a package, and was not built here. */
  ready: boolean;
  /** The key that today's inputs have; null where neither a kernel nor Debian's kernel source is here. */
  key: string | null;
  /** The one that there is, of a stale image an old one; null: none. */
  kernel: CachedKernel | null;
}

/** What the lab has and what it lacks. */
export interface LabStatus {
  /** Of this form: raised when a field changes its meaning or goes. */
  version: 1;
  /** The folder that has all that the lab keeps. */
  cacheDir: string;
  /** What that folder takes, in bytes. */
  diskBytes: number;
  /** A build is going on, here or in another process. */
  building: boolean;
  /** The kernel that is booted where no series is named. */
  image: ImageStatus;
  /** The kernel of each series. */
  series: Record<SeriesName, ImageStatus>;
  /** Kernels built from users' trees, and from tarballs that had a series. */
  treeKernels: CachedKernel[];
  /** The package that has a kernel ready. */
  ready: {
    /** fits: it is used. absent: there is none, or it has another series. other: it was made of other sources. damaged: its files are not what it says. */
    state: ReadyState['state'];
    /** Why it is not used; null if it is. */
    reason: string | null;
  };
  /** What this machine has installed of what the lab needs. */
  packages: {
    /** Debian's package tools are here. */
    debian: boolean;
    /** As this machine's distribution calls itself. */
    distribution: string;
    /** Packages that booting a machine needs; of what none is known to have, its own name. */
    missing: string[];
    /** What building a kernel would need beside them. */
    building: string[];
    /** Installs what is missing to boot; null if no package would help. */
    command: string | null;
  };
  /** Each lane: whether its emulator is here and does what it needs. */
  lanes: Record<LaneName, LaneStatus>;
  /** The machine that each lane has up; null: none. */
  warm: Record<LaneName, WarmStatus | null>;
}

/** Looks at the lab without changing it. */
export function labStatus(): Promise<LabStatus> {
  return onDisk(look);
}

async function look(): Promise<LabStatus> {
  const version = debianSourceVersion();
  const kernels = cachedKernels();
  const series = Object.fromEntries(
    seriesNames.map((name) => [name, imageStatus(name, version, kernels)]),
  ) as LabStatus['series'];
  const ready = readyKernel(defaultSeries);
  return {
    version: 1,
    cacheDir: cacheDir(),
    diskBytes: diskBytes(cacheDir()),
    building: isLocked(lockFile()),
    image: series[defaultSeries],
    series,
    ready: ready.state === 'fits' ? { state: 'fits', reason: null } : ready,
    treeKernels: kernels.filter((kernel) => seriesOfKernel(kernel) === undefined),
    packages: packagesStatus(),
    lanes: Object.fromEntries(lanes.map((lane) => [lane.name, laneStatus(lane)])) as LabStatus['lanes'],
    warm: Object.fromEntries(
      await Promise.all(laneNames.map(async (name) => [name, await warmStatus(name)])),
    ) as LabStatus['warm'],
  };
}

function packagesStatus(): LabStatus['packages'] {
  const distribution = thisDistribution();
  const lacking = (needs: readonly LabNeed[]) => {
    const { packages, rest } = packagesFor(lackingOf(needs), distribution);
    return [...packages, ...rest];
  };
  const booting = [...new Set(lanes.flatMap((lane) => laneNeeds(lane)))];
  const { command } = packagesFor(lackingOf(booting), distribution);
  return {
    debian: isDebian(),
    distribution: distribution.title,
    missing: lacking(booting),
    building: lacking([debianSource, ...tarballNeeds]),
    command,
  };
}

function imageStatus(series: SeriesName, version: string | undefined, kernels: readonly CachedKernel[]): ImageStatus {
  const cached = kernelOfSeries(series, version);
  const ready = cached ? undefined : readyKernel(series);
  const current = cached ?? (ready?.state === 'fits' ? ready.kernel : undefined);
  const key = current?.key ?? (version === undefined ? null : currentKey(version, series));
  const damaged = key !== null && !current && kernelDamage(key) !== undefined;
  const old = kernels.find((kernel) => seriesOfKernel(kernel) === series);
  return {
    state: current ? 'present' : damaged ? 'damaged' : old ? 'stale' : 'missing',
    ready: current?.ready ?? false,
    key,
    kernel: current ?? old ?? null,
  };
}

function laneStatus(lane: Lane): LaneStatus {
  const reasons: string[] = [];
  const { packages, rest } = packagesFor(lackingOf(laneNeeds(lane)));
  if (packages.length > 0) reasons.push(`packages are missing: ${packages.join(' ')}`);
  if (rest.length > 0) reasons.push(`these are missing: ${rest.join('; ')}`);
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
