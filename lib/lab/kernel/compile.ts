/** From a kernel's source to its image: unpacked, patched, configured, compiled. */
import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Progress } from '../progress.ts';
import { type AddedConfig, checkConfig, configInput } from './config.ts';
import { keepCoverageNotes } from './coverage-notes.ts';
import { treeVersion } from './kconfig.ts';
import { LineOrigins } from './line-origins.ts';
import { make } from './make.ts';
import type { SeriesName } from './own-series.ts';
import { seriesOf } from './series.ts';
import { type KernelSource, prepareSource } from './source.ts';

/** What is compiled. */
export interface CompileInput {
  source: KernelSource;
  /** What a tarball is patched with. */
  series: SeriesName;
  added: AddedConfig;
}

/** What came of it. */
export interface CompiledKernel {
  image: string;
  /** Its .config. */
  config: string;
  /** What the source was patched with; undefined if it had a series already. */
  series: SeriesName | undefined;
  /** The folder of what a kernel that counts its lines is read by. */
  coverage: string | undefined;
}

/** No lab kernel of ours is made with these, but Kconfig writes their versions into the configuration, which is in the image. */
const unneeded = ['PAHOLE=none', 'RUSTC=none', 'BINDGEN=none'];

/**
 * Compiles a kernel in a folder.
 *
 * @param work an empty folder, with 2.5 GiB of room for a tarball, 1 GiB for a tree
 */
export async function compileKernel(
  { source, series, added }: CompileInput,
  work: string,
  progress: Progress,
  abort: AbortSignal | undefined,
): Promise<CompiledKernel> {
  const tree = source.kind === 'tree' ? source.path : join(work, 'source');
  // Beside a tree of the user's, which stays as it is.
  const out = source.kind === 'tree' ? join(work, 'objects') : tree;
  const origins = added.notes ? new LineOrigins(tree, join(work, 'before')) : undefined;
  const isPatched = source.kind !== 'tree' && (await prepareSource(tree, source, series, progress, abort, origins));
  const own = isPatched ? undefined : tree;
  mkdirSync(out, { recursive: true });
  progress.stage('configure', own === undefined ? '' : treeWords(own));
  const config = join(work, 'config');
  await writeFile(config, configInput(own, added, series));
  const words = [...(isPatched ? unneeded : []), ...(added.make ?? [])];
  await make(tree, out, [...words, 'allnoconfig', `KCONFIG_ALLCONFIG=${config}`], abort);
  for (const lost of checkConfig(join(out, '.config'), own, added)) progress.stage('configure', lost);
  await compile(tree, out, words, progress, abort);
  const image = join(out, 'arch/x86/boot/bzImage');
  const coverage = added.notes ? join(work, 'coverage') : undefined;
  if (coverage) keepCoverageNotes(tree, out, coverage, origins);
  return { image, config: join(out, '.config'), series: isPatched ? series : undefined, coverage };
}

function treeWords(tree: string): string {
  const { symbols, profiles } = seriesOf(tree);
  const version = treeVersion(tree);
  const series = `${symbols.map((symbol) => `CONFIG_${symbol}`).join(' and ')}: --profile ${profiles}`;
  return version === '' ? series : `Linux ${version} with ${series}`;
}

async function compile(
  tree: string,
  out: string,
  words: readonly string[],
  progress: Progress,
  abort: AbortSignal | undefined,
): Promise<void> {
  progress.stage(
    'compile',
    'about four minutes on two cores that have nothing else to do; a flavour takes several times that',
  );
  let files = 0;
  const onLine = (line: string) => {
    if (/^\s+(CC|AS|HOSTCC)\s/.test(line)) files += 1;
    progress.step(`${files} files`);
  };
  await make(tree, out, [...words, '-j', String(availableParallelism()), 'bzImage'], abort, onLine);
}
