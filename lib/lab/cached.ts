/** What lies in the cache by name: made in a folder beside it, and kept while it is among those that were used last. */
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A new folder in which something is made. Whoever makes such things holds a lock: another one of that prefix is what a killed
 * process left, and is removed.
 */
export function makingFolder(parent: string, prefix: string): string {
  for (const name of readdirSync(parent))
    if (name.startsWith(prefix)) rmSync(join(parent, name), { recursive: true, force: true });
  return mkdtempSync(join(parent, prefix));
}

/** By its time of change: few file systems keep that of an access. */
export function markUsed(path: string): void {
  const now = new Date();
  utimesSync(path, now, now);
}

/**
 * Of a folder's entries that `counts` is true of, keeps the current one and those that were used last, `most` in all.
 *
 * @param within the others only if they were used in these last ms
 */
export function keepLastUsed(
  folder: string,
  current: string,
  most: number,
  counts: (name: string) => boolean,
  within = Number.POSITIVE_INFINITY,
): void {
  const since = Date.now() - within;
  const others = readdirSync(folder)
    .filter((name) => name !== current && counts(name))
    .map((name) => join(folder, name))
    .map((path) => ({ path, used: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.used - a.used);
  for (const [at, { path, used }] of others.entries())
    if (at >= most - 1 || used < since) rmSync(path, { recursive: true, force: true });
}
