/** The series of patches that the lab has a kernel of: each is a folder below kernel/. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A series of patches that the lab has a kernel of: the RFC as it was posted, or with its faults mended. */
export type SeriesName = 'rfc-v2' | 'fixed';

/** The series there are, by the names of their folders. */
export const seriesNames = ['rfc-v2', 'fixed'] as const satisfies readonly SeriesName[];

/** The kernel that is booted for a profile, where that is not the default one. */
const byProfile: Readonly<Record<string, SeriesName>> = { 'fixed-v1': 'fixed' };

/** The series that is built and booted where none is named. */
export const defaultSeries: SeriesName = 'rfc-v2';

/** The series whose kernel is booted for a profile. */
export function seriesOfProfile(profile: string): SeriesName {
  return byProfile[profile] ?? defaultSeries;
}

/** The version of Linux that the patches of every series are for. */
export const seriesLinux = '6.12';

/** What a series adds to the configuration of every lab kernel; behind it, so that it wins. */
export function ownConfig(inputsDir: string, series: SeriesName): string[] {
  const path = join(inputsDir, series, 'series.config');
  return existsSync(path) ? [readFileSync(path, 'utf8')] : [];
}

/** The patches of a series, in the order in which they are applied. */
export function patchesOf(inputsDir: string, series: SeriesName): string[] {
  return patchesIn(join(inputsDir, series));
}

/** What the lab adds to a series, and is no part of it: applied after its patches. Last come those that fit each series. */
export function labPatchesOf(inputsDir: string, series: SeriesName): string[] {
  return [join(series, 'lab'), ...labFolders].map((name) => join(inputsDir, name)).flatMap(patchesIn);
}

/** Folders with new files of a series' kernel: below `arch` and `include` they lie where they belong. */
export function filesOf(inputsDir: string, series: SeriesName): string[] {
  return [series, join(series, 'lab'), ...labFolders].map((name) => join(inputsDir, name));
}

/** What each lab kernel has besides, whatever its series: the switch for faults, and what helps to use it in the lab. */
export const labFolders: readonly string[] = ['fault', 'own'];

function patchesIn(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const names = readdirSync(dir).filter((name) => name.endsWith('.patch'));
  return names.sort().map((name) => join(dir, name));
}
