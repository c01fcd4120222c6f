/** Where the source of a kernel that is to be built comes from, and the name that the kernel has by it. */
import { statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { LabPackagesError } from '../errors.ts';
import { debianSourceVersion, kernelSourcePackage, kernelSourceTarball } from '../needs/building.ts';
import { checksum, currentKey } from './cache.ts';
import type { CompileInput } from './compile.ts';
import { configInput } from './config.ts';
import { kernelInputs } from './inputs.ts';
import { seriesKernelKey, treeKernelKey } from './key.ts';
import type { SeriesName } from './own-series.ts';
import { checkTree, hasOwnSeries, type KernelSource } from './source.ts';

/** The tree or the tarball that a user gives. Throws what is wrong with it. */
export function sourceOfUser(path: string, series: SeriesName | undefined): KernelSource {
  const source = resolve(path);
  if (statSync(source, { throwIfNoEntry: false })?.isFile())
    return {
      kind: 'tarball',
      path: source,
      name: `${basename(source)} ${checksum(source).slice(0, 16)}`,
      asked: series,
    };
  if (series !== undefined) throw hasOwnSeries('tree', series);
  checkTree(source);
  return { kind: 'tree', path: source, name: source };
}

/** Debian's source. Throws a LabPackagesError where it is not. */
export function sourceOfDebian(): KernelSource {
  const name = debianSourceVersion();
  if (name !== undefined) return { kind: 'debian', path: kernelSourceTarball, name };
  throw new LabPackagesError(`${kernelSourceTarball} is missing`, [kernelSourcePackage], {
    advice: `Install ${kernelSourcePackage} again.`,
  });
}

/** The name in the cache of what a build would give now. */
export function keyOf({ source, series, added }: CompileInput): string {
  const words = (added.make ?? []).join('\n');
  if (source.kind === 'tree') return treeKernelKey(source.path, configInput(source.path, added, series) + words);
  return source.kind === 'debian'
    ? currentKey(source.name, series)
    : seriesKernelKey(kernelInputs(), series, source.name, 'tarball', added.text + words);
}
