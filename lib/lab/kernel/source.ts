/** The source that a lab kernel is built from: a tarball with this package's patches, or a tree of the user's. */
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ArgumentError } from '../../base/errors.ts';
import { LabKernelSourceError } from '../errors.ts';
import { runBound } from '../process.ts';
import type { Progress } from '../progress.ts';
import { kernelInputs } from './inputs.ts';
import { treeVersion } from './kconfig.ts';
import { listFiles } from './key.ts';
import type { LineOrigins } from './line-origins.ts';
import { must } from './make.ts';
import { filesOf, labPatchesOf, patchesOf, type SeriesName, seriesLinux } from './own-series.ts';
import { seriesOf } from './series.ts';

/** Parts of the tree that no lab kernel is made of; their Kconfig files are needed all the same. */
const unused = [
  // KVM's own documents and self-tests stay: a series may change them.
  'Documentation/[!v]*.rst',
  'Documentation/*.yaml',
  'Documentation/*.txt',
  'Documentation/*.svg',
  ...['accel', 'gpu', 'iio', 'infiniband', 'media', 'pinctrl', 'clk', 'staging', 'soc', 'hwmon'].flatMap(sources),
  ...['isdn', 'crypto', 'net/ethernet', 'net/wireless', 'scsi/*', 'usb', 'mtd', 'regulator', 'input'].flatMap(sources),
  'sound/*.[ch]',
  'tools/perf/*',
  'tools/testing/[!s]*',
  'tools/testing/selftests/[!k]*',
  ...['arm', 'arm64', 'mips', 'powerpc', 's390', 'm68k', 'sparc', 'parisc', 'riscv', 'arc', 'sh'].flatMap((arch) => [
    `arch/${arch}/*.[chS]`,
    `arch/${arch}/*.dts*`,
  ]),
];

function sources(dir: string): string[] {
  return [`drivers/${dir}/*.[ch]`];
}

/** Where a kernel's source comes from. */
export type KernelSource =
  /** Debian's package of that version. */
  | { kind: 'debian'; path: string; name: string }
  /** A tarball as kernel.org has them; `asked`: the series that the user wants in it. */
  | { kind: 'tarball'; path: string; name: string; asked?: SeriesName | undefined }
  /** A tree of the user's, which has a series already. */
  | { kind: 'tree'; path: string; name: string };

/** Unpacks a kernel's tarball as it is, but for what no lab kernel is made of. */
export async function extractSource(
  tree: string,
  tarball: string,
  progress: Progress,
  abort: AbortSignal | undefined,
): Promise<void> {
  progress.stage('extract', tarball);
  mkdirSync(tree);
  const top = await topFolder(tarball, abort);
  const excludes = unused.map((pattern) => `--exclude=${top}/${pattern}`);
  // Debian's tarball has many blocks, and xz unpacks as many at a time as there are CPUs.
  const how = tarball.endsWith('.xz') ? ['-I', 'xz -T0'] : [];
  await must('tar', [...how, '-xf', tarball, '-C', tree, '--strip-components=1', ...excludes], abort);
}

/** The name of the one folder that a tarball has its files in. */
async function topFolder(tarball: string, abort: AbortSignal | undefined): Promise<string> {
  let first = '';
  const ended = new AbortController();
  const signal = abort ? AbortSignal.any([abort, ended.signal]) : ended.signal;
  const onLine = (line: string) => {
    if (first !== '') return;
    first = line;
    // The rest of it is not read for its names.
    ended.abort();
  };
  const { output } = await runBound('tar', ['-tf', tarball], { abort: signal, onLine });
  const top = /^(?:\.\/)?([^/]+)\//.exec(first)?.[1];
  if (top !== undefined || abort?.aborted) return top ?? '';
  throw new LabKernelSourceError(
    `${tarball} is no tarball of a Linux tree: ${(first || output).trim().slice(0, 200)}`,
    {
      advice: 'Give --kernel-src a tree, or a tarball as kernel.org has them, such as linux-6.12.117.tar.xz.',
    },
  );
}

/**
 * Unpacks a tarball and patches it with a series.
 *
 * @param origins learns where each line of what is patched comes from
 * @returns false if it has a series already, and was left as it is
 */
export async function prepareSource(
  tree: string,
  source: KernelSource,
  series: SeriesName,
  progress: Progress,
  abort: AbortSignal | undefined,
  origins?: LineOrigins,
): Promise<boolean> {
  await extractSource(tree, source.path, progress, abort);
  if (source.kind === 'tarball') {
    if (!existsSync(join(tree, 'arch/x86/kvm/Kconfig'))) throw noTree(source.path);
    if (seriesOf(tree).symbols.length > 0) {
      if (source.asked !== undefined) throw hasOwnSeries('tarball', source.asked);
      return false;
    }
    refuseOtherVersion(tree, source.path, series);
  }
  progress.stage('patch', series);
  for (const patch of [...patchesOf(kernelInputs(), series), ...labPatchesOf(kernelInputs(), series)]) {
    const apply = () => must('patch', ['-p1', '--batch', '--fuzz=0', '-d', tree, '-i', patch], abort);
    await (origins?.patched(patch, relative(kernelInputs(), patch), apply) ?? apply());
  }
  // New files of a series may lie beside its patches as what they are.
  for (const folder of filesOf(kernelInputs(), series)) {
    for (const dir of ['include', 'arch']) {
      const files = join(folder, dir);
      if (!existsSync(files)) continue;
      cpSync(files, join(tree, dir), { recursive: true });
      for (const file of origins ? listFiles(files) : [])
        origins!.added(join(dir, file), relative(kernelInputs(), join(files, file)));
    }
  }
  return true;
}

function refuseOtherVersion(tree: string, tarball: string, series: SeriesName): void {
  const version = treeVersion(tree);
  if (version.startsWith(`${seriesLinux}.`)) return;
  throw new LabKernelSourceError(
    `${tarball} is Linux ${version || 'of no known version'}, and the patches of ${series} are for ${seriesLinux}`,
    { advice: `Give a tarball of Linux ${seriesLinux}, or a tree that has a series already.` },
  );
}

/** A source that has a series already cannot be patched with one of ours. */
export function hasOwnSeries(what: 'tree' | 'tarball', series: SeriesName): ArgumentError {
  return new ArgumentError(
    'options.series',
    `a ${what} of yours has its own series, and ${series} cannot be built from it`,
    'Give either kernelSrc or series.',
  );
}

function noTree(path: string): LabKernelSourceError {
  return new LabKernelSourceError(`${path} is no Linux source tree`, {
    advice: 'Give --kernel-src the top folder of a Linux tree, or a tarball as kernel.org has them.',
  });
}

/** Refuses a tree that cannot give a kernel with the series, before anything is built. */
export function checkTree(tree: string): void {
  const kconfig = join(tree, 'arch/x86/kvm/Kconfig');
  if (!existsSync(join(tree, 'Kbuild')) || !existsSync(kconfig)) {
    throw noTree(tree);
  }
  if (seriesOf(tree).symbols.length === 0) {
    throw new LabKernelSourceError(
      `${tree} has no CONFIG_KVM_DSM_IRQ_FORWARD or CONFIG_KVM_DSM in arch/x86/kvm/Kconfig`,
      {
        advice: 'Apply the DSM interrupt forwarding series to the tree first, or leave out --kernel-src.',
      },
    );
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
