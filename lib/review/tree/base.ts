/** The tree that a series stands on, with the objects of its last build: what changes later is compiled, and nothing else. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { treeKernelKey } from '../../lab/kernel/key.ts';
import { must } from '../../lab/kernel/make.ts';
import { extractSource } from '../../lab/kernel/source.ts';
import { debianSourceVersion, kernelSourcePackage, kernelSourceTarball } from '../../lab/needs/building.ts';
import { runBound } from '../../lab/process.ts';
import type { Progress } from '../../lab/progress.ts';
import type { BaseSource } from '../given.ts';
import { unpackCommit } from '../series/git.ts';
import { keyOf, reviewsDir } from '../stages.ts';

/** A source tree that reviews work in. It is one folder for all: objects know the path that they were made at. */
export interface BaseTree {
  path: string;
  /** What its sources are, as they are without a series. */
  key: string;
  /** For a person. */
  title: string;
}

const recipe = '1';

/** Finds the tree, or makes it: Debian's source, a copy of the user's tree, or the files of a commit. */
export async function prepareBase(
  source: BaseSource,
  progress: Progress,
  abort: AbortSignal | undefined,
): Promise<BaseTree> {
  const { key, title } = nameOf(source);
  const home = join(reviewsDir(), `tree-${key}`);
  const path = join(home, 'tree');
  if (!existsSync(path)) {
    mkdirSync(home, { recursive: true });
    const half = join(home, 'half');
    rmSync(half, { recursive: true, force: true });
    if (source.kind === 'debian') await extractSource(half, kernelSourceTarball, progress, abort);
    else if (source.kind === 'tree') await copyTree(source.path, half, progress, abort);
    else {
      progress.stage('unpack', title);
      mkdirSync(half);
      await unpackCommit(source.commit, half, abort);
    }
    abort?.throwIfAborted();
    renameSync(half, path);
  }
  return { path, key, title };
}

function nameOf(source: BaseSource): { key: string; title: string } {
  if (source.kind === 'tree')
    return { key: keyOf(recipe, treeKernelKey(source.path, '')), title: realpathSync(source.path) };
  if (source.kind === 'commit') {
    const { name, tree, repository } = source.commit;
    return { key: keyOf(recipe, 'commit', tree), title: `${name} of ${realpathSync(repository)}` };
  }
  const version = debianSourceVersion() ?? 'unknown';
  return { key: keyOf(recipe, 'debian', version), title: `Debian's ${kernelSourcePackage} ${version}` };
}

async function copyTree(from: string, to: string, progress: Progress, abort: AbortSignal | undefined): Promise<void> {
  progress.stage('copy', from);
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    abort?.throwIfAborted();
    if (name !== '.git') await cp(join(from, name), join(to, name), { recursive: true, verbatimSymlinks: true });
  }
  if (existsSync(join(to, '.config')) || existsSync(join(to, 'include/config')))
    await must('make', ['-C', to, 'ARCH=x86', 'mrproper'], abort);
}

/** Fetches files that a patch changes and that were left out of the tree as no kernel is made of them. */
export async function completeBase({ path }: BaseTree, source: BaseSource, files: readonly string[]): Promise<void> {
  const missing = files.filter((file) => !existsSync(join(path, file)));
  if (source.kind !== 'debian' || missing.length === 0) return;
  const top = 'linux-source-6.12';
  const names = missing.map((file) => `${top}/${file}`);
  // It ends with an error for those that Debian's source has not either: `patch` tells of these.
  await runBound('tar', ['-xf', kernelSourceTarball, '-C', path, '--strip-components=1', ...names]);
}

/** Files that a series makes, and those that it removes: below `from`. */
export interface Overlay {
  from: string;
  changed: readonly string[];
  removed: readonly string[];
}

/** No series: the tree as it was. */
export const noOverlay: Overlay = { from: '', changed: [], removed: [] };

/**
 * Puts a series' files into the tree, and takes the last one's out. Files that have their content already keep their
 * times, so that make leaves their objects alone.
 */
export async function putOverlay({ path }: BaseTree, overlay: Overlay): Promise<void> {
  const originals = join(dirname(path), 'originals');
  const listFile = join(dirname(path), 'overlaid.json');
  const before: string[] = existsSync(listFile) ? JSON.parse(readFileSync(listFile, 'utf8')) : [];
  const now = [...overlay.changed, ...overlay.removed];
  // First what was there is kept and written down: whoever is killed meanwhile leaves a tree that can be restored.
  for (const file of now) {
    const original = join(originals, file);
    if (before.includes(file) || existsSync(original) || !existsSync(join(path, file))) continue;
    mkdirSync(dirname(original), { recursive: true });
    await copyFile(join(path, file), original);
  }
  const all = [...new Set([...before, ...now])];
  writeFileSync(listFile, JSON.stringify(all));
  for (const file of all) {
    const source = overlay.changed.includes(file) ? join(overlay.from, file) : join(originals, file);
    const isGone = overlay.removed.includes(file) || !existsSync(source);
    putFile(join(path, file), isGone ? null : readFileSync(source));
  }
  writeFileSync(listFile, JSON.stringify(now));
}

function putFile(path: string, content: Buffer | null): void {
  if (content === null) {
    rmSync(path, { force: true });
    return;
  }
  if (existsSync(path) && readFileSync(path).equals(content)) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** A file as it is without any series; null if it is not there. */
export function originalOf({ path }: BaseTree, file: string): Uint8Array | null {
  const original = join(dirname(path), 'originals', file);
  const listFile = join(dirname(path), 'overlaid.json');
  const overlaid: string[] = existsSync(listFile) ? JSON.parse(readFileSync(listFile, 'utf8')) : [];
  if (existsSync(original)) return readFileSync(original);
  const isMade = overlaid.includes(file);
  return isMade || !existsSync(join(path, file)) ? null : readFileSync(join(path, file));
}
