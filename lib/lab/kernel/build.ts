import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { copyFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import {
  LabBuildError,
  LabInterruptedError,
  LabKernelSourceError,
  LabPackagesError,
  LabSpaceError,
} from '../errors.ts';
import { lock } from '../lock.ts';
import { cacheDir, kernelInputsDir, kernelsDir, lockFile } from '../paths.ts';
import { runBound } from '../process.ts';
import { Progress, type Report } from '../progress.ts';
import { readKernelImage } from './bzimage.ts';
import { type CachedKernel, cachedKernel, currentKey, kernelDir, pruneKernels } from './cache.ts';
import { installedVersions, installPackages, missingPackages } from './debian.ts';
import { treeKernelKey } from './key.ts';
import { allPackages, compilePackages, kernelSourcePackage, kernelSourceTarball } from './packages.ts';

/** How a kernel is built. */
export interface BuildOptions {
  /** A kernel tree that already has the series; without it, Debian's source and this package's patch. */
  kernelSrc?: string | undefined;
  report?: Report | undefined;
  /** How often a stage that goes on is told again; 15 s if not given. */
  reportEveryMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Without these the result could not be used as a lab kernel. */
const required = [
  'CONFIG_KVM_DSM_IRQ_FORWARD',
  'CONFIG_KVM_INTEL',
  'CONFIG_KVM_AMD',
  'CONFIG_BLK_DEV_INITRD',
  'CONFIG_SERIAL_8250_CONSOLE',
  'CONFIG_ISO9660_FS',
  'CONFIG_BLK_DEV_SD',
  'CONFIG_VIRTIO_BLK',
  'CONFIG_DEVTMPFS',
];

/** Parts of the tree that no lab kernel is made of; their Kconfig files are needed all the same. */
const unused = [
  'Documentation/*.rst',
  'Documentation/*.yaml',
  'Documentation/*.txt',
  'Documentation/*.svg',
  ...['accel', 'gpu', 'iio', 'infiniband', 'media', 'pinctrl', 'clk', 'staging', 'soc', 'hwmon'].flatMap(sources),
  ...['isdn', 'crypto', 'net/ethernet', 'net/wireless', 'scsi/*', 'usb', 'mtd', 'regulator', 'input'].flatMap(sources),
  'sound/*.[ch]',
  'tools/perf/*',
  'tools/testing/*',
  ...['arm', 'arm64', 'mips', 'powerpc', 's390', 'm68k', 'sparc', 'parisc', 'riscv', 'arc', 'sh'].flatMap((arch) => [
    `arch/${arch}/*.[chS]`,
    `arch/${arch}/*.dts*`,
  ]),
];

function sources(dir: string): string[] {
  return [`drivers/${dir}/*.[ch]`];
}

const gib = 1024 ** 3;

/** Builds the lab kernel, or finds it finished in the cache. */
export async function buildKernel(options: BuildOptions): Promise<CachedKernel> {
  using progress = new Progress(options.report ?? (() => {}), options.reportEveryMs);
  const abort = options.signal;
  const source = options.kernelSrc === undefined ? undefined : resolve(options.kernelSrc);
  if (source) checkTree(source);
  await ensurePackages(source ? [...compilePackages, ...runPackages()] : allPackages, progress, abort);
  const key = () => (source ? treeKernelKey(source, fragment()) : currentKey(sourceVersion()));
  const finished = cachedKernel(key());
  if (finished) return finished;
  const held = await lock(lockFile(), () => progress.stage('lock', 'another build is running: waiting for it'), abort);
  try {
    // The one that was waited for may have built it.
    const wanted = key();
    const already = cachedKernel(wanted);
    if (already) return already;
    return await build(wanted, source, progress, abort);
  } finally {
    await held.release();
  }
}

/** The packages for booting: all that are not for Debian's kernel source. */
function runPackages(): string[] {
  return allPackages.filter((name) => name !== kernelSourcePackage);
}

async function ensurePackages(names: string[], progress: Progress, abort: AbortSignal | undefined): Promise<void> {
  const missing = missingPackages(names);
  await installPackages(missing, (line) => progress.stage('packages', line), abort);
}

const fragment = () => join(kernelInputsDir, 'lab.config');

function sourceVersion(): string {
  const version = installedVersions([kernelSourcePackage]).get(kernelSourcePackage);
  if (version && existsSync(kernelSourceTarball)) return version;
  throw new LabPackagesError(`${kernelSourceTarball} is missing`, [kernelSourcePackage], {
    advice: `Install ${kernelSourcePackage} again.`,
  });
}

async function build(
  key: string,
  source: string | undefined,
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
    if (!source) await prepareSource(tree, progress, abort);
    mkdirSync(out, { recursive: true });
    progress.stage('configure');
    await make(tree, out, ['allnoconfig', `KCONFIG_ALLCONFIG=${fragment()}`], abort);
    checkConfig(join(out, '.config'), source);
    await compile(tree, out, progress, abort);
    progress.stage('image');
    const kernel = await keep(key, out, work, source ?? sourceVersion(), started);
    progress.stage('done', kernel.release);
    return kernel;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function prepareSource(tree: string, progress: Progress, abort: AbortSignal | undefined): Promise<void> {
  progress.stage('extract', kernelSourceTarball);
  mkdirSync(tree);
  const excludes = unused.map((pattern) => `--exclude=linux-source-*/${pattern}`);
  const tar = ['-xf', kernelSourceTarball, '-C', tree, '--strip-components=1', ...excludes];
  await must('tar', tar, abort);
  progress.stage('patch');
  const patches = readdirSync(kernelInputsDir).filter((name) => name.endsWith('.patch'));
  for (const patch of patches.sort()) {
    await must('patch', ['-p1', '--batch', '--fuzz=0', '-d', tree, '-i', join(kernelInputsDir, patch)], abort);
  }
  for (const dir of ['include', 'arch']) cpSync(join(kernelInputsDir, dir), join(tree, dir), { recursive: true });
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

async function keep(key: string, out: string, work: string, source: string, started: number): Promise<CachedKernel> {
  const finished = join(work, 'finished');
  mkdirSync(finished);
  await copyFile(join(out, 'arch/x86/boot/bzImage'), join(finished, 'bzImage'));
  await copyFile(join(out, '.config'), join(finished, 'config'));
  const { release } = readKernelImage(join(finished, 'bzImage'));
  const buildSeconds = Math.round((performance.now() - started) / 1000);
  const info = { key, release, source, built: new Date().toISOString(), buildSeconds };
  await writeFile(join(finished, 'info.json'), `${JSON.stringify(info, null, 2)}\n`);
  await rename(finished, kernelDir(key));
  if (key.startsWith('debian-')) pruneKernels(key);
  const kernel = cachedKernel(key);
  if (!kernel) throw new LabBuildError(`${kernelDir(key)} vanished`, { advice: 'Build again.' });
  return kernel;
}

function make(
  tree: string,
  out: string,
  args: string[],
  abort: AbortSignal | undefined,
  onLine?: (line: string) => void,
): Promise<void> {
  const where = tree === out ? [] : [`O=${out}`];
  const names = ['KBUILD_BUILD_USER=kvm-dsm', 'KBUILD_BUILD_HOST=lab'];
  return must('make', ['-C', tree, 'ARCH=x86', ...where, ...names, ...args], abort, onLine);
}

/** Runs a step; its last lines are in the error if it fails. */
async function must(
  command: string,
  args: string[],
  abort: AbortSignal | undefined,
  onLine: (line: string) => void = () => {},
): Promise<void> {
  // A MAKEFLAGS or KBUILD_* of the caller's own build would change what this one makes.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(MAKE|MFLAGS|KBUILD|KCONFIG|ARCH$|CROSS_COMPILE$|LLVM)/.test(name),
    ),
  );
  const done = await runBound(command, args, { env: { ...env, LC_ALL: 'C' }, abort, onLine });
  if (abort?.aborted)
    throw new LabInterruptedError('the build was interrupted', { advice: 'Run it again: it starts anew.' });
  if (done.code === 0) return;
  const said = done.output.trim().split('\n').slice(-25).join('\n');
  throw new LabBuildError(`${command} ended with ${done.code ?? done.signal}:\n${said}`, {
    advice: 'Mend what the lines above name, then run `kvm-dsm lab build` again.',
  });
}

function checkSpace(needed: number): void {
  const { bavail, bsize } = statfsSync(cacheDir());
  const free = (bavail * bsize) / gib;
  if (free >= needed) return;
  throw new LabSpaceError(`${cacheDir()} has ${free.toFixed(1)} GiB free, and the build needs ${needed} GiB`, {
    advice: 'Free some room, or let XDG_CACHE_HOME name a folder on a larger disk.',
  });
}

/** Refuses a tree that cannot give a kernel with the series, before anything is built. */
function checkTree(tree: string): void {
  const kconfig = join(tree, 'arch/x86/kvm/Kconfig');
  if (!existsSync(join(tree, 'Kbuild')) || !existsSync(kconfig)) {
    throw new LabKernelSourceError(`${tree} is no Linux source tree`, {
      advice: 'Give --kernel-src the top folder of a Linux tree.',
    });
  }
  if (!/^config\s+KVM_DSM_IRQ_FORWARD$/m.test(readFileSync(kconfig, 'utf8'))) {
    throw new LabKernelSourceError(`${tree} has no CONFIG_KVM_DSM_IRQ_FORWARD in arch/x86/kvm/Kconfig`, {
      advice: 'Apply the DSM interrupt forwarding series to the tree first, or leave out --kernel-src.',
    });
  }
  const traces = ['.config', 'include/config', 'arch/x86/include/generated'].filter((name) =>
    existsSync(join(tree, name)),
  );
  if (traces.length > 0) {
    throw new LabKernelSourceError(
      `${tree} holds a build of its own (${traces.join(', ')}), and the kernel's makefiles refuse a second one beside it`,
      { advice: `Run \`make -C ${tree} mrproper\` (it removes that build and its .config), or give a clean checkout.` },
    );
  }
}

function checkConfig(config: string, tree: string | undefined): void {
  const text = readFileSync(config, 'utf8');
  const absent = required.filter((symbol) => !text.includes(`\n${symbol}=y\n`));
  if (absent.length === 0) return;
  const message = `the kernel's configuration does not enable ${absent.join(', ')}`;
  const advice = 'Look at what these symbols depend on in the tree, and at kernel/lab.config.';
  throw tree ? new LabKernelSourceError(`${message} in ${tree}`, { advice }) : new LabBuildError(message, { advice });
}
