/** What a review was given: the series, and the tree that it stands on. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runBound } from '../lab/process.ts';
import { SeriesError } from './errors.ts';
import { baseCommit, type Commit, gitSeries, isGitTree } from './series/git.ts';
import { readSeries, type Series, seriesOf } from './series/series.ts';

/** Where the sources without the series come from. */
export type BaseSource =
  | { kind: 'debian' }
  /** A tree of the user's. */
  | { kind: 'tree'; path: string }
  | { kind: 'commit'; commit: Commit };

/** A series and its base. */
export interface Given {
  series: Series;
  base: BaseSource;
  /** The base has the series in it, and nothing is known of what was before. */
  isAlone: boolean;
}

const isKernelTree = (path: string) => existsSync(join(path, 'arch/x86/kvm/Kconfig'));

/**
 * Reads what was given: mails and patches, for a tree or for Debian's source; a git tree, whose commits since `base` are the
 * series; a tree against the tree `base`; or a tree alone.
 *
 * @throws SeriesError
 */
export async function readGiven(paths: readonly string[], base: string | undefined): Promise<Given> {
  const tree = paths.length === 1 && isKernelTree(paths[0]!) ? resolve(paths[0]!) : undefined;
  const isFolder = base !== undefined && existsSync(base);
  if (isFolder && !isKernelTree(base))
    throw new SeriesError(`--base ${base} is no Linux source tree`, { advice: 'Give the top folder of a Linux tree.' });
  if (tree !== undefined && !isFolder && isGitTree(tree)) {
    const commit = await baseCommit(tree, base);
    if (commit) return { series: await gitSeries(commit), base: { kind: 'commit', commit }, isAlone: false };
  }
  if (base !== undefined && !isFolder)
    throw new SeriesError(`--base ${base} does not exist`, {
      advice: tree === undefined ? 'Give the top folder of a Linux tree.' : 'Give a tree, or a commit of a git tree.',
    });
  if (tree === undefined)
    return {
      series: await readSeries(paths),
      base: base === undefined ? { kind: 'debian' } : { kind: 'tree', path: base },
      isAlone: false,
    };
  if (base !== undefined)
    return { series: await compared(resolve(base), tree), base: { kind: 'tree', path: base }, isAlone: false };
  const notes = ['a tree alone: nothing is known of what was before'];
  return {
    series: { title: tree, version: '', patches: [], notes, isCompared: true },
    base: { kind: 'tree', path: tree },
    isAlone: true,
  };
}

/** What a build leaves in a tree. */
const built = [
  ...['.git', '*.o', '*.a', '*.cmd', '*.mod', '*.mod.c', '*.ko', '*.orig', '*.rej', '*.d', '.tmp_*', '*.order'],
  ...['.config', '.config.old', 'generated', 'config', 'vmlinux*', 'System.map', 'bzImage', '.version', '*.symvers'],
];

/** A tree against a tree: what differs, as one patch. */
async function compared(base: string, tree: string): Promise<Series> {
  const lines: string[] = [];
  const args = ['-urN', ...built.map((name) => `--exclude=${name}`), base, tree];
  await runBound('diff', args, { onLine: (line) => lines.push(line) });
  const text = lines.map((line) => {
    if (line.startsWith(`--- ${base}/`)) return `--- a${line.slice(`--- ${base}`.length)}`;
    return line.startsWith(`+++ ${tree}/`) ? `+++ b${line.slice(`+++ ${tree}`.length)}` : line;
  });
  try {
    const series = seriesOf([{ subject: tree, from: '', text: `${text.join('\n')}\n` }], tree);
    return { ...series, isCompared: true };
  } catch (error) {
    if (!(error instanceof SeriesError)) throw error;
    throw new SeriesError(`${tree} differs from ${base} in nothing that is compiled`, {
      advice: 'Give a tree with the series, and --base one without it.',
    });
  }
}
