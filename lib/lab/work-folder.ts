/** Folders that one process works in, where nobody else can reach. What a killed process left is removed. */
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { geteuid } from 'node:process';
import { noteTemporary, temporaryFolder } from '../base/temporary.ts';
import { LabFolderError } from './errors.ts';
import { lock, tryLock } from './lock.ts';
import { cacheDir } from './paths.ts';

/** A folder of this process'. */
export interface WorkFolder {
  path: string;
  remove(): Promise<void>;
}

const prefix = 'run-';

/** For what takes another process a moment. */
const patienceMs = 60_000;

/**
 * Makes one. It stands in a folder that only this user can enter, so that nobody can put a link where something is
 * walked, and its lock is held while this process lives, so that no other takes it for a leftover: a lock is the same
 * for processes that do not see each other's numbers.
 */
export async function makeWorkFolder(): Promise<WorkFolder> {
  const base = workFolders();
  if (base === undefined) {
    const path = temporaryFolder();
    return { path, remove: async () => rmSync(path, { recursive: true, force: true }) };
  }
  const gate = await lock(base, () => {}, AbortSignal.timeout(patienceMs)).catch((cause) => {
    throw new LabFolderError(`another process held ${base} for ${patienceMs / 1000} s`, {
      advice: `Find it with \`fuser ${base}\`, and end it.`,
      cause,
    });
  });
  try {
    await removeLeftovers(base);
    const path = noteTemporary(mkdtempSync(join(base, prefix)));
    const held = await tryLock(path).catch((error) => {
      rmSync(path, { recursive: true, force: true });
      throw error;
    });
    return {
      path,
      async remove() {
        rmSync(path, { recursive: true, force: true });
        await held?.release();
      },
    };
  } finally {
    await gate.release();
  }
}

/** Removes the folders of processes that are gone; those that are worked in stay. */
async function removeLeftovers(base: string, prefixes = [prefix]): Promise<void> {
  for (const name of readdirSync(base)) {
    const free = prefixes.some((one) => name.startsWith(one)) && (await tryLock(join(base, name)));
    if (!free) continue;
    rmSync(join(base, name), { recursive: true, force: true });
    await free.release();
  }
}

/** Removes what is left in the cache by runs; true if nothing is there any more. */
export async function clearRuns(): Promise<boolean> {
  const base = join(cacheDir(), runs);
  if (!existsSync(base)) return true;
  checkPrivate(base);
  await removeLeftovers(base, [prefix, warm]);
  if (readdirSync(base).length > 0) return false;
  rmSync(base, { recursive: true });
  return true;
}

/** In the cache: where runs work. */
export const runs = 'runs';

/**
 * Where work folders stand: with the user's other files of this session, else in the cache. Undefined if the cache is
 * another's, or may be written by others or not by us: then there is no place that leftovers could be told from.
 */
function workFolders(): string | undefined {
  const session = process.env.XDG_RUNTIME_DIR;
  if (session && isAbsolute(session) && isPrivate(session)) return privateFolder(join(session, 'kvm-dsm'));
  return canKeep(cacheDir()) ? privateFolder(join(cacheDir(), runs)) : undefined;
}

/** True where the cache is this user's: a machine's memory may be kept there. */
export const canKeepSecrets = (): boolean => canKeep(cacheDir());

/** The folder of the machine that a lane has up; undefined where there is no safe place for one. */
export function warmFolder(lane: string): string | undefined {
  const base = workFolders();
  return base === undefined ? undefined : join(base, `${warm}${lane}`);
}

/** Makes it, for one who brings a machine up. */
export function makeWarmFolder(lane: string): string | undefined {
  const path = warmFolder(lane);
  return path === undefined ? undefined : privateFolder(path);
}

const warm = 'warm-';

function privateFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  checkPrivate(path);
  return path;
}

function checkPrivate(path: string): void {
  if (isPrivate(path)) return;
  throw new LabFolderError(
    `${path} is no folder that user ${geteuid?.()} alone can enter, and machines are run in it`,
    {
      advice: 'Look who made it; remove it, or `chmod 700` it if it is yours.',
    },
  );
}

/** True for a folder, and no link to one, of this user's that is closed to others. */
function isPrivate(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === geteuid?.() && (found.mode & 0o077) === 0;
}

/** True for a folder of this user's that nobody else may write to, and that can be written. */
function canKeep(path: string): boolean {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return false;
    throw error;
  }
  const { uid, mode } = statSync(path);
  return uid === geteuid?.() && (mode & 0o022) === 0;
}
