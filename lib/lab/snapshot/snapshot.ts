/** A machine that has booted and waits for a command, kept in the cache: what it is, and where. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kernelCommandLine } from '../boot/kernel-command-line.ts';
import type { Parts } from '../boot/prepare.ts';
import { keepLastUsed, makingFolder, markUsed } from '../cached.ts';
import { type InitWord, initWords } from '../disk/init.ts';
import { snapshotsDir } from '../paths.ts';
import { readLeft } from '../warm/left.ts';
import { fitOf } from '../warm/protocol.ts';

/** What a machine goes on from. */
export interface BootedSnapshot {
  /** Its folder, with the emulator's files. */
  dir: string;
  /** Of its init's words. */
  secrets: Record<InitWord, string>;
  /** By its own clock, in seconds. */
  uptime: number;
  /** What stood behind its word `idle`. */
  left: string;
}

/** Raised when what is saved, or how a machine goes on from it, changes. */
const RECIPE = 1;
const KEPT = 2;
/** A line for each machine that was booted, the last ones. */
const BOOTED = 'booted';
const REMEMBERED = 32;
const FACTS = 'snapshot.json';

interface Facts extends Omit<BootedSnapshot, 'dir'> {
  /** The sizes of the emulator's files, in bytes, and of the smallest one's content the checksum. */
  sizes: Record<string, number>;
  checksum: string;
}

/**
 * The name of the snapshot of a machine, which everything is part of that the machine is made of; and of this start of the host,
 * whose clock it has measured its own with, and whose page cache may have lost what a crash did not let it write.
 */
export function snapshotKey(parts: Parts, extra: string | undefined): string {
  const { lane, emulator, medium, env } = parts;
  const host = readFileSync('/proc/sys/kernel/random/boot_id', 'ascii').trim();
  const cmdline = kernelCommandLine(lane, emulator, extra, false);
  const all = [RECIPE, fitOf(parts, extra), cmdline, emulator, medium.links, env, host];
  return createHash('sha256').update(JSON.stringify(all)).digest('hex').slice(0, 16);
}

/** The snapshot of that name; `null`: there is none; or why what is there is none. */
export function findSnapshot(key: string, files: readonly string[]): BootedSnapshot | null | { damage: string } {
  const dir = snapshotFolder(key);
  if (!existsSync(dir)) return null;
  try {
    const facts = JSON.parse(readFileSync(join(dir, FACTS), 'utf8')) as Facts;
    for (const name of files)
      if (statSync(join(dir, name)).size !== facts.sizes[name]) return { damage: `${name} has not its size` };
    if (checksum(join(dir, files.at(-1)!)) !== facts.checksum) return { damage: `${files.at(-1)} has been changed` };
    if (initWords.some((word) => typeof facts.secrets[word] !== 'string')) return { damage: `${FACTS} lacks secrets` };
    readLeft(facts.left);
    markUsed(dir);
    return { dir, secrets: facts.secrets, uptime: facts.uptime, left: facts.left };
  } catch (error) {
    return { damage: (error as Error).message };
  }
}

export const removeSnapshot = (dir: string): void => rmSync(dir, { recursive: true, force: true });

/** Where that of a key lies. */
export const snapshotFolder = (key: string): string => join(snapshotsDir(), key);

const prefix = 'new-';

/** A folder in which one is made, by who holds the lock of `snapshotsDir()`. */
export function newSnapshotFolder(files: readonly string[]): string {
  const dir = makingFolder(snapshotsDir(), prefix);
  for (const name of files) writeFileSync(join(dir, name), '', { mode: 0o600 });
  return dir;
}

/** Gives a folder that is complete its name, and keeps those that were used last. */
export function keepSnapshot(
  dir: string,
  key: string,
  files: readonly string[],
  facts: Omit<BootedSnapshot, 'dir'>,
): BootedSnapshot {
  const sizes = Object.fromEntries(files.map((name) => [name, statSync(join(dir, name)).size]));
  const all: Facts = { ...facts, sizes, checksum: checksum(join(dir, files.at(-1)!)) };
  writeFileSync(join(dir, FACTS), JSON.stringify(all), { mode: 0o600 });
  const kept = snapshotFolder(key);
  renameSync(dir, kept);
  keepLastUsed(snapshotsDir(), key, KEPT, (name) => name !== BOOTED && !name.startsWith(prefix));
  return { ...facts, dir: kept };
}

/** Nobody else may read what a machine had in its memory. */
export const makeSnapshotsFolder = (): void => void mkdirSync(snapshotsDir(), { recursive: true, mode: 0o700 });

/**
 * Remembers that a machine is booted: whether for the first time, as it always is where nothing can be written. Of two processes that
 * do so at once one may be forgotten, which costs a boot.
 */
export function noteBoot(key: string): 'first' | 'again' {
  try {
    makeSnapshotsFolder();
    const booted = bootedMachines();
    if (booted.includes(key)) return 'again';
    writeBooted([...booted, key]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
  return 'first';
}

/** The next one is the first again. */
export function forgetBoot(key: string): void {
  try {
    writeBooted(bootedMachines().filter((other) => other !== key));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}

const bootedFile = () => join(snapshotsDir(), BOOTED);

const bootedMachines = (): string[] =>
  existsSync(bootedFile()) ? readFileSync(bootedFile(), 'utf8').split('\n').filter(Boolean) : [];

const writeBooted = (keys: readonly string[]): void =>
  writeFileSync(
    bootedFile(),
    keys
      .slice(-REMEMBERED)
      .map((key) => `${key}\n`)
      .join(''),
    { mode: 0o600 },
  );

const checksum = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
