/** The source that a lab kernel is built from: Debian's with this package's patches, or a tree of the user's. */
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { LabKernelSourceError } from '../errors.ts';
import { kernelInputsDir } from '../paths.ts';
import type { Progress } from '../progress.ts';
import { must } from './make.ts';
import { filesOf, labPatchesOf, patchesOf, type SeriesName } from './own-series.ts';
import { kernelSourceTarball } from './packages.ts';
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

/** Unpacks Debian's source as it is, but for what no lab kernel is made of. */
export async function extractSource(tree: string, progress: Progress, abort: AbortSignal | undefined): Promise<void> {
  progress.stage('extract', kernelSourceTarball);
  mkdirSync(tree);
  const excludes = unused.map((pattern) => `--exclude=linux-source-*/${pattern}`);
  // The tarball has many blocks, and xz unpacks as many at a time as there are CPUs.
  const tar = ['-I', 'xz -T0', '-xf', kernelSourceTarball, '-C', tree, '--strip-components=1', ...excludes];
  await must('tar', tar, abort);
}

/** Unpacks Debian's source and patches it with a series. */
export async function prepareSource(
  tree: string,
  series: SeriesName,
  progress: Progress,
  abort: AbortSignal | undefined,
): Promise<void> {
  await extractSource(tree, progress, abort);
  progress.stage('patch', series);
  for (const patch of [...patchesOf(kernelInputsDir, series), ...labPatchesOf(kernelInputsDir, series)]) {
    await must('patch', ['-p1', '--batch', '--fuzz=0', '-d', tree, '-i', patch], abort);
  }
  // New files of a series may lie beside its patches as what they are.
  for (const folder of filesOf(kernelInputsDir, series)) {
    for (const dir of ['include', 'arch']) {
      const files = join(folder, dir);
      if (existsSync(files)) cpSync(files, join(tree, dir), { recursive: true });
    }
  }
}

/** Refuses a tree that cannot give a kernel with the series, before anything is built. */
export function checkTree(tree: string): void {
  const kconfig = join(tree, 'arch/x86/kvm/Kconfig');
  if (!existsSync(join(tree, 'Kbuild')) || !existsSync(kconfig)) {
    throw new LabKernelSourceError(`${tree} is no Linux source tree`, {
      advice: 'Give --kernel-src the top folder of a Linux tree.',
    });
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
