/** Names of kernels: hashes of what they are built from. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative } from 'node:path';
import { labFolders, type SeriesName } from './own-series.ts';

/** Raised when the way of building changes in a way that the inputs do not show. */
const recipe = 1;

/** The files below `dir`, as sorted paths relative to it. */
export function listFiles(dir: string, skip: (name: string) => boolean = () => false): string[] {
  const found: string[] = [];
  const walk = (at: string) => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      if (skip(entry.name)) continue;
      const path = join(at, entry.name);
      if (entry.isDirectory()) walk(path);
      else found.push(relative(dir, path));
    }
  };
  walk(dir);
  return found.sort();
}

/** What a kernel of a series is made from beside the series: Debian's source, or a tarball of the user's. */
export type SourceKind = 'debian' | 'tarball';

/**
 * Names the kernel that a build of a series would give now: the hash of the configuration, of the series' files and of the
 * source. A cached kernel of another name is stale. The compiler is no part of it: a kernel of another one is as good.
 *
 * @param source the version of Debian's source; of a tarball its name
 * @param added what the user adds to the configuration
 */
export function seriesKernelKey(
  inputsDir: string,
  series: SeriesName,
  source: string,
  kind: SourceKind = 'debian',
  added = '',
): string {
  const hash = createHash('sha256').update(`recipe ${recipe}\nseries ${series}\nsource ${source}\n`);
  // What is only read by people changes no kernel.
  const own = [series, ...labFolders]
    .flatMap((folder) => listFiles(join(inputsDir, folder)).map((name) => join(folder, name)))
    .filter((name) => !name.endsWith('.md'));
  for (const file of ['lab.config', ...own]) {
    hash.update(`${file}\n`).update(
      createHash('sha256')
        .update(readFileSync(join(inputsDir, file)))
        .digest(),
    );
  }
  if (added !== '') hash.update(`added\n${added}`);
  return `${kind}-${hash.digest('hex').slice(0, 16)}`;
}

/** Names the kernel that a build of the tree `source` would give now: its path, its files' sizes and times, the configuration. */
export function treeKernelKey(source: string, config: string): string {
  const root = realpathSync(source);
  const hash = createHash('sha256').update(`recipe ${recipe}\ntree ${root}\n`).update(config);
  for (const file of listFiles(root, (name) => name === '.git')) {
    const { size, mtimeMs } = lstatSync(join(root, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return `tree-${hash.digest('hex').slice(0, 16)}`;
}
