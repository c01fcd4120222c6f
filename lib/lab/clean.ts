/** What `lab clean` does. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LabBusyError } from './errors.ts';
import { onDisk } from './file-errors.ts';
import { tryLock } from './lock.ts';
import { cacheDir, lockFile } from './paths.ts';
import { lowerMachines } from './warm/raise.ts';
import { clearRuns, runs } from './work-folder.ts';

/** Removes everything that the lab keeps. Throws a LabBusyError while a build is going on. */
export function cleanLab(): Promise<{ cacheDir: string; removed: string[] }> {
  return onDisk(clean);
}

async function clean(): Promise<{ cacheDir: string; removed: string[] }> {
  const dir = cacheDir();
  if (!existsSync(dir)) return { cacheDir: dir, removed: [] };
  await lowerMachines();
  const lock = await tryLock(lockFile());
  if (!lock) {
    throw new LabBusyError('a lab build is going on', { advice: 'Wait for its end, or end it, then clean again.' });
  }
  try {
    // The lock's file stays: another process may be about to lock it. So do the folders of runs that go on.
    const removed = readdirSync(dir).filter((name) => join(dir, name) !== lockFile() && name !== runs);
    if (await clearRuns()) removed.push(runs);
    for (const name of removed) rmSync(join(dir, name), { recursive: true, force: true });
    return { cacheDir: dir, removed };
  } finally {
    await lock.release();
  }
}
