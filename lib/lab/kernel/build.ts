/** Builds the lab's kernel, or finds it in the cache. */

import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync } from 'node:fs';
import { copyFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { checkChoice, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import type { Abort } from '../../base/node-shapes.ts';
import { boolean, func, listOf, number, oneOf, optional, shape, text } from '../../base/shape.ts';
import { LabBuildError, LabPackagesError, LabSpaceError } from '../errors.ts';
import { onDisk } from '../file-errors.ts';
import { type LaneName, laneNamed, laneNames, lanes } from '../lanes/index.ts';
import { lock } from '../lock.ts';
import { cacheDir, kernelsDir, lockFile } from '../paths.ts';
import { Progress, type Report } from '../progress.ts';
import { readKernelImage } from './bzimage.ts';
import {
  type CachedKernel,
  cachedKernel,
  checksum,
  currentKey,
  type KernelInfo,
  kernelDamage,
  kernelDir,
  pruneKernels,
} from './cache.ts';
import { type AddedConfig, checkConfig, configInput, readConfig } from './config.ts';
import { installedVersions, installPackages, missingPackages, refuseMissing } from './debian.ts';
import { treeVersion } from './kconfig.ts';
import { treeKernelKey } from './key.ts';
import { make } from './make.ts';
import { defaultSeries, type SeriesName, seriesNames } from './own-series.ts';
import { compilePackages, kernelSourcePackage, kernelSourceTarball, lanePackages, sourcePackages } from './packages.ts';
import { seriesOf } from './series.ts';
import { checkTree, prepareSource } from './source.ts';

/** How a kernel is built. */
export interface BuildOptions {
  /** A kernel tree that already has the series; without it, Debian's source and this package's patch. */
  kernelSrc?: string | undefined;
  /**
   * What is added to this package's configuration of that tree, the last one winning: paths of fragments, and single
   * symbols as `CONFIG_X=y`. A symbol that is named so and not taken by the tree is an error.
   */
  config?: readonly string[] | undefined;
  /** The series that Debian's source is patched with; rfc-v2 if not given. Not together with `kernelSrc`. */
  series?: SeriesName | undefined;
  report?: Report | undefined;
  /** Installs Debian packages that are missing, if this process may; their list is told first. Else they are an error. */
  install?: boolean | undefined;
  /** The lane that is to be booted; without it, all of them. */
  lane?: LaneName | undefined;
  /** How often a stage that goes on is told again; 15 s if not given. */
  reportEveryMs?: number | undefined;
  signal?: Abort | undefined;
}

const buildOptions = shape<BuildOptions>('buildLab() takes', {
  kernelSrc: optional(text),
  config: optional(listOf(text)),
  series: optional(oneOf(seriesNames)),
  report: optional(func()),
  install: optional(boolean),
  lane: optional((argument, value) => checkChoice(argument, value as LaneName, laneNames)),
  reportEveryMs: optional(number(1, 86_400_000)),
  signal: optional((argument, value) => checkObject(argument, value as Abort)),
});

const gib = 1024 ** 3;

/** Builds the lab kernel, or finds it finished in the cache. */
export function buildKernel(options: BuildOptions): Promise<CachedKernel> {
  return onDisk(() => findOrBuild(options));
}

async function findOrBuild(options: BuildOptions): Promise<CachedKernel> {
  const given = buildOptions.take(options);
  using progress = new Progress(given.report ?? (() => {}), given.reportEveryMs);
  // Node.js' own functions take an AbortSignal as such.
  const abort = given.signal as AbortSignal | undefined;
  const source = given.kernelSrc === undefined ? undefined : resolve(given.kernelSrc);
  if (source !== undefined && given.series !== undefined) {
    throw new ArgumentError(
      'options.series',
      `a tree of yours has its own series, and ${given.series} cannot be built from it`,
      'Give either kernelSrc or series.',
    );
  }
  const series = given.series ?? defaultSeries;
  if (source) checkTree(source);
  else if (given.config?.length) throw configWithoutTree();
  const added = readConfig(given.config ?? []);
  const ensure = (names: readonly string[]) => ensurePackages(names, given.install ?? false, progress, abort);
  const debian = source ? [] : [kernelSourcePackage];
  // What a build takes beside is asked for when something is to be built, or installed.
  const building = [...(source ? [] : sourcePackages), ...compilePackages];
  const booting = given.lane ? lanePackages(laneNamed(given.lane)) : lanes.flatMap(lanePackages);
  await ensure([...new Set([...debian, ...booting, ...(given.install ? building : [])])]);
  const key = () =>
    source ? treeKernelKey(source, configInput(source, added, series)) : currentKey(sourceVersion(), series);
  const finished = cachedKernel(key());
  if (finished) return finished;
  await ensure(building);
  const held = await lock(lockFile(), () => progress.stage('lock', 'another build is running: waiting for it'), abort);
  try {
    // The one that was waited for may have built it.
    const wanted = key();
    const already = cachedKernel(wanted);
    if (already) return already;
    const damage = kernelDamage(wanted);
    if (damage) progress.stage('cache', `the kernel there is damaged (${damage}): it is built anew`);
    return await build(wanted, { source, series, added }, progress, abort);
  } finally {
    await held.release();
  }
}

async function ensurePackages(
  names: readonly string[],
  install: boolean,
  progress: Progress,
  abort: AbortSignal | undefined,
): Promise<void> {
  const missing = missingPackages(names);
  if (install) await installPackages(missing, (line) => progress.stage('packages', line), abort);
  else refuseMissing(missing);
}

function configWithoutTree(): ArgumentError {
  const what = 'options.config is for a tree of your own, and no kernelSrc is given';
  return new ArgumentError('config', what, "Give the tree's path as well (--kernel-src).");
}

function sourceVersion(): string {
  const version = installedVersions([kernelSourcePackage]).get(kernelSourcePackage);
  if (version && existsSync(kernelSourceTarball)) return version;
  throw new LabPackagesError(`${kernelSourceTarball} is missing`, [kernelSourcePackage], {
    advice: `Install ${kernelSourcePackage} again.`,
  });
}

async function build(
  key: string,
  { source, series, added }: { source: string | undefined; series: SeriesName; added: AddedConfig },
  progress: Progress,
  abort: AbortSignal | undefined,
): Promise<CachedKernel> {
  const started = performance.now();
  mkdirSync(kernelsDir(), { recursive: true });
  // What a build that was killed left. The lock says that none is running.
  for (const name of readdirSync(cacheDir())) {
    if (name.startsWith('build-')) rmSync(join(cacheDir(), name), { recursive: true, force: true });
  }
  checkSpace(source ? 1 : 2.5);
  const work = mkdtempSync(join(cacheDir(), 'build-'));
  try {
    const tree = source ?? join(work, 'source');
    const out = source ? join(work, 'objects') : tree;
    if (!source) await prepareSource(tree, series, progress, abort);
    mkdirSync(out, { recursive: true });
    progress.stage('configure', source ? treeWords(source) : '');
    const config = join(work, 'config');
    await writeFile(config, configInput(source, added, series));
    await make(tree, out, ['allnoconfig', `KCONFIG_ALLCONFIG=${config}`], abort);
    for (const lost of checkConfig(join(out, '.config'), source, added)) progress.stage('configure', lost);
    await compile(tree, out, progress, abort);
    progress.stage('image');
    const origin = source === undefined ? { source: sourceVersion(), series } : { source };
    const kernel = await keep(key, out, work, origin, started);
    progress.stage('done', kernel.release);
    return kernel;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function treeWords(tree: string): string {
  const { symbols, profiles } = seriesOf(tree);
  const version = treeVersion(tree);
  const series = `${symbols.map((symbol) => `CONFIG_${symbol}`).join(' and ')}: --profile ${profiles}`;
  return version === '' ? series : `Linux ${version} with ${series}`;
}

async function compile(tree: string, out: string, progress: Progress, abort: AbortSignal | undefined): Promise<void> {
  progress.stage('compile');
  let files = 0;
  const onLine = (line: string) => {
    if (/^\s+(CC|AS|HOSTCC)\s/.test(line)) files += 1;
    progress.step(`${files} files`);
  };
  await make(tree, out, ['-j', String(availableParallelism()), 'bzImage'], abort, onLine);
}

async function keep(
  key: string,
  out: string,
  work: string,
  origin: Pick<KernelInfo, 'source' | 'series'>,
  started: number,
): Promise<CachedKernel> {
  const finished = join(work, 'finished');
  mkdirSync(finished);
  await copyFile(join(out, 'arch/x86/boot/bzImage'), join(finished, 'bzImage'));
  await copyFile(join(out, '.config'), join(finished, 'config'));
  const { release } = readKernelImage(join(finished, 'bzImage'));
  const buildSeconds = Math.round((performance.now() - started) / 1000);
  const sha256 = checksum(join(finished, 'bzImage'));
  const info: KernelInfo = { key, release, ...origin, built: new Date().toISOString(), buildSeconds, sha256 };
  await writeFile(join(finished, 'info.json'), `${JSON.stringify(info, null, 2)}\n`);
  // A damaged one.
  await rm(kernelDir(key), { recursive: true, force: true });
  await rename(finished, kernelDir(key));
  if (key.startsWith('debian-')) pruneKernels(sourceVersion());
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
