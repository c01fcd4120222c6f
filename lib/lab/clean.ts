/** What `lab clean` does. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LabBusyError } from './errors.ts';
import { tryLock } from './lock.ts';
import { cacheDir, lockFile } from './paths.ts';

/** Removes everything that the lab keeps. Throws a LabBusyError while a build is going on. */
export async function cleanLab(): Promise<{ cacheDir: string; removed: string[] }> {
  const dir = cacheDir();
  if (!existsSync(dir)) return { cacheDir: dir, removed: [] };
  const lock = await tryLock(lockFile());
  if (!lock) {
    throw new LabBusyError('a lab build is going on', { advice: 'Wait for its end, or end it, then clean again.' });
  }
  try {
    // The lock's file stays: another process may be about to lock it.
    const removed = readdirSync(dir).filter((name) => join(dir, name) !== lockFile());
    for (const name of removed) rmSync(join(dir, name), { recursive: true, force: true });
    return { cacheDir: dir, removed };
  } finally {
    await lock.release();
  }
}
