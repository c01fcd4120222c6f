/** Finds the lab's kernel: in the cache, or ready in a package; else builds it. */

import { mkdirSync, statfsSync } from 'node:fs';
import { copyFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkChoice, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import type { Abort } from '../../base/node-shapes.ts';
import { boolean, func, listOf, number, oneOf, optional, shape, text } from '../../base/shape.ts';
import { makingFolder } from '../cached.ts';
import { LabBuildError, LabPackagesError, LabSpaceError } from '../errors.ts';
import { onDisk } from '../file-errors.ts';
import { type LaneName, laneNamed, laneNames, lanes } from '../lanes/index.ts';
import { lock } from '../lock.ts';
import {
  compileNeeds,
  debianSource,
  debianSourceVersion,
  kernelSourceTarball,
  tarballNeeds,
} from '../needs/building.ts';
import { installLacking, refuseLacking } from '../needs/install.ts';
import { laneNeeds } from '../needs/machine.ts';
import type { LabNeed } from '../needs/need.ts';
import { cacheDir, kernelsDir, lockFile } from '../paths.ts';
import { Progress, type Report } from '../progress.ts';
import { readKernelImage } from './bzimage.ts';
import {
  type CachedKernel,
  cachedKernel,
  checksum,
  type KernelInfo,
  kernelDamage,
  kernelDir,
  kernelOfSeries,
  markKernelUsed,
  pruneKernels,
  seriesOfKernel,
} from './cache.ts';
import { type CompiledKernel, type CompileInput, compileKernel } from './compile.ts';
import { readConfig } from './config.ts';
import { coverageFolder } from './coverage-notes.ts';
import { configOfFlavour, type Flavour, flavourNames } from './flavours.ts';
import { keyOf, sourceOfDebian, sourceOfUser } from './origin.ts';
import { defaultSeries, type SeriesName, seriesLinux, seriesNames } from './own-series.ts';
import { readyKernel, readyPackage } from './ready.ts';
import { hasOwnSeries, type KernelSource } from './source.ts';

/** How a kernel is built. */
export interface BuildOptions {
  /**
   * A kernel tree that already has the series, or a tarball as kernel.org has them, which is patched with `series` if it has
   * none; without it, Debian's source and this package's patches.
   */
  kernelSrc?: string | undefined;
  /**
   * What is added to this package's configuration of that tree, the last one winning: paths of fragments, and single
   * symbols as `CONFIG_X=y`. A symbol that is named so and not taken by the tree is an error.
   */
  config?: readonly string[] | undefined;
  /** The series that the source is patched with; rfc-v2 if not given. Not together with a tree. */
  series?: SeriesName | undefined;
  /** A kernel that looks at itself, as its fragment below kernel/flavours says; `config` is added behind that. Boot it by its path. */
  flavour?: Flavour | undefined;
  /** Builds, whatever there is: the ready kernel of the package and what is in the cache are not looked at. */
  fromSource?: boolean | undefined;
  /** Takes words on what is going on. */
  report?: Report | undefined;
  /** Installs packages that are missing, if this process may; their list is told first. Else they are an error. */
  install?: boolean | undefined;
  /** The lane that is to be booted; without it, all of them. */
  lane?: LaneName | undefined;
  /** The emulator that is to boot it: of the distribution's nothing is asked for then. */
  emulator?: string | undefined;
  /** How often a stage that goes on is told again; 15 s if not given. */
  reportEveryMs?: number | undefined;
  /** Ends the build. */
  signal?: Abort | undefined;
}

const buildOptions = shape<BuildOptions>('buildLab() takes', {
  kernelSrc: optional(text),
  config: optional(listOf(text)),
  series: optional(oneOf(seriesNames)),
  flavour: optional(oneOf(flavourNames)),
  fromSource: optional(boolean),
  report: optional(func()),
  install: optional(boolean),
  lane: optional((argument, value) => checkChoice(argument, value as LaneName, laneNames)),
  emulator: optional(text),
  reportEveryMs: optional(number(1, 86_400_000)),
  signal: optional((argument, value) => checkObject(argument, value as Abort)),
});

const gib = 1024 ** 3;

/** Builds the lab kernel, or finds it finished in the cache or in the package of the ready one. */
export function buildKernel(options: BuildOptions): Promise<CachedKernel> {
  return onDisk(() => findOrBuild(options));
}

async function findOrBuild(options: BuildOptions): Promise<CachedKernel> {
  const given = buildOptions.take(options);
  using progress = new Progress(given.report ?? (() => {}), given.reportEveryMs);
  // Node.js' own functions take an AbortSignal as such.
  const abort = given.signal as AbortSignal | undefined;
  const { flavour } = given;
  const series = given.series ?? defaultSeries;
  const ensure = (needs: readonly LabNeed[]) => ensureNeeds(needs, given.install ?? false, progress, abort);
  const booted = given.lane ? [laneNamed(given.lane)] : lanes;
  // Debian's as it is: what is added to the lab's configuration is part of the name that a kernel of a tarball has.
  if (flavour && given.kernelSrc === undefined) await ensureDebianSource(series, ensure);
  const path = given.kernelSrc ?? (flavour && kernelSourceTarball);
  const own = path === undefined ? undefined : sourceOfUser(path, given.series);
  if (!own && given.config?.length) throw configWithoutTree();
  const config = given.config ?? [];
  const added = flavour ? configOfFlavour(flavour, config) : readConfig(config);
  await ensure([...new Set(booted.flatMap((lane) => laneNeeds(lane, given.emulator)))]);
  const fromSource = given.fromSource ?? false;
  const ready = !own && !fromSource ? existing(series, given.install ?? false, progress) : undefined;
  if (ready) return ready;
  if (!own) await ensureDebianSource(series, ensure);
  const source = own ?? sourceOfDebian();
  const input = { source, series, added };
  const key = () => keyOf(input);
  const cached = (name: string) => (fromSource ? undefined : cachedOf(name, source));
  const finished = cached(key());
  if (finished) return finished;
  await ensure(source.kind === 'tree' ? compileNeeds : tarballNeeds);
  const held = await lock(lockFile(), () => progress.stage('lock', 'another build is running: waiting for it'), abort);
  try {
    // The one that was waited for may have built it.
    const wanted = key();
    const already = cached(wanted);
    if (already) return already;
    const damage = kernelDamage(wanted);
    if (damage) progress.stage('cache', `the kernel there is damaged (${damage}): it is built anew`);
    return await build(wanted, input, progress, abort);
  } finally {
    await held.release();
  }
}

/** What the cache has of that name. Throws if it is of a tarball that had a series, and another one is asked for. */
function cachedOf(key: string, source: KernelSource): CachedKernel | undefined {
  const kernel = cachedKernel(key);
  const asked = source.kind === 'tarball' ? source.asked : undefined;
  if (kernel && asked !== undefined && seriesOfKernel(kernel) !== asked) throw hasOwnSeries('tarball', asked);
  return kernel;
}

/** A kernel of a series that need not be built: one that was built here goes before the ready one. */
function existing(series: SeriesName, tells: boolean, progress: Progress): CachedKernel | undefined {
  const cached = kernelOfSeries(series, debianSourceVersion());
  if (cached) {
    markKernelUsed(cached.key);
    return cached;
  }
  const ready = readyKernel(series);
  if (ready.state === 'fits') {
    if (tells) progress.stage('kernel', `${ready.kernel.release}, ready kernel from the package ${readyPackage}`);
    return ready.kernel;
  }
  progress.stage('kernel', `${ready.reason}: one is built from source`);
  return undefined;
}

async function ensureDebianSource(series: SeriesName, ensure: (needs: LabNeed[]) => Promise<void>): Promise<void> {
  try {
    await ensure([debianSource]);
  } catch (error) {
    if (!(error instanceof LabPackagesError)) throw error;
    const option = series === defaultSeries ? '' : ` --series ${series}`;
    throw new LabPackagesError(`there is no source to build a kernel from: ${error.message}`, error.packages, {
      advice: `${error.advice} Or build from a tarball of kernel.org, of Linux ${seriesLinux}: kvm-dsm lab build --kernel-src linux-${seriesLinux}.117.tar.xz${option}`,
      cause: error,
    });
  }
}

async function ensureNeeds(
  needs: readonly LabNeed[],
  install: boolean,
  progress: Progress,
  abort: AbortSignal | undefined,
): Promise<void> {
  if (install) await installLacking(needs, (line) => progress.stage('packages', line), abort);
  else refuseLacking(needs);
}

function configWithoutTree(): ArgumentError {
  const what = 'options.config is for a tree of your own, and no kernelSrc is given';
  return new ArgumentError('config', what, "Give the tree's path as well (--kernel-src).");
}

async function build(
  key: string,
  input: CompileInput,
  progress: Progress,
  abort: AbortSignal | undefined,
): Promise<CachedKernel> {
  const started = performance.now();
  mkdirSync(kernelsDir(), { recursive: true });
  // What a build that was killed left may be the room that is missing.
  const work = makingFolder(cacheDir(), 'build-');
  try {
    checkSpace(input.source.kind === 'tree' ? 1 : 2.5);
    const { image, config, series, coverage } = await compileKernel(input, work, progress, abort);
    progress.stage('image');
    const origin = { source: input.source.name, ...(series === undefined ? {} : { series }) };
    const kernel = await keep(key, { image, config, coverage }, work, origin, started);
    if (input.source.kind === 'debian') pruneKernels(key, input.source.name);
    progress.stage('done', kernel.release);
    return kernel;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function keep(
  key: string,
  { image, config, coverage }: Pick<CompiledKernel, 'image' | 'config' | 'coverage'>,
  work: string,
  origin: Pick<KernelInfo, 'source' | 'series'>,
  started: number,
): Promise<CachedKernel> {
  const finished = join(work, 'finished');
  mkdirSync(finished);
  await copyFile(image, join(finished, 'bzImage'));
  await copyFile(config, join(finished, 'config'));
  if (coverage) await rename(coverage, coverageFolder(join(finished, 'bzImage')));
  const { release } = readKernelImage(join(finished, 'bzImage'));
  const buildSeconds = Math.round((performance.now() - started) / 1000);
  const sha256 = checksum(join(finished, 'bzImage'));
  const info: KernelInfo = { key, release, ...origin, built: new Date().toISOString(), buildSeconds, sha256 };
  await writeFile(join(finished, 'info.json'), `${JSON.stringify(info, null, 2)}\n`);
  // A damaged one, or one that is to be built anew.
  await rm(kernelDir(key), { recursive: true, force: true });
  await rename(finished, kernelDir(key));
  const kernel = cachedKernel(key);
  if (!kernel) throw new LabBuildError(`${kernelDir(key)} vanished`, { advice: 'Build again.' });
  return kernel;
}

function checkSpace(needed: number): void {
  const { bavail, bsize } = statfsSync(cacheDir());
  const free = (bavail * bsize) / gib;
  if (free >= needed) return;
  throw new LabSpaceError(`${cacheDir()} has ${free.toFixed(1)} GiB free, and the build needs ${needed} GiB`, {
    advice: 'Free some room, or let XDG_CACHE_HOME name a folder on a larger disk.',
  });
}
