/** A lock between processes, which no killed process leaves behind. */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { LabEmulatorError, LabFolderError, LabInterruptedError } from './errors.ts';
import { spawnBound } from './process.ts';

/** A held lock. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock of `file` if it is free, else answers undefined.
 *
 * A child holds it: util-linux's flock, running a `cat` whose input is our end of a pipe. However this process ends,
 * the pipe closes and the lock is free; no stale lock file can be left.
 */
export function tryLock(file: string): Promise<Lock | undefined> {
  return start(file, ['--nonblock', '--conflict-exit-code', '75']);
}

/** Takes the lock of `file`; waits while another process holds it, and tells that through `waiting`. */
export async function lock(file: string, waiting: () => void, abort?: AbortSignal): Promise<Lock> {
  const free = await tryLock(file);
  if (free) return free;
  waiting();
  const held = await start(file, [], abort);
  if (!held)
    throw new LabInterruptedError('interrupted while another process held the lab', { advice: 'Run it again.' });
  return held;
}

/**
 * True while a process that is seen from here holds the lock of `file`. Takes none: nobody who wants it is kept from it.
 *
 * Source: Documentation/filesystems/locks.rst, fs/locks.c (lock_get_status).
 */
export function isLocked(file: string): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return false;
  const held = readFileSync('/proc/locks', 'ascii').matchAll(/: FLOCK +\S+ +WRITE +(\d+) +\S+:(\d+) /g);
  return [...held].some(([, pid, inode]) => Number(inode) === found.ino && namesFile(Number(pid), file));
}

/** Inodes of two file systems may have one number: what holds our locks has the file among its arguments. */
function namesFile(pid: number, file: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(file);
  } catch {
    return false;
  }
}

function start(file: string, flags: string[], abort?: AbortSignal): Promise<Lock | undefined> {
  mkdirSync(dirname(file), { recursive: true });
  const held = "printf 'held\\n'; exec cat";
  return new Promise((resolve, reject) => {
    const child = spawnBound('flock', ['--exclusive', ...flags, file, 'sh', '-c', held], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // Ctrl-C goes to the whole foreground group: the lock has to outlast what it protects.
      detached: true,
    });
    const stop = () => child.kill('SIGKILL');
    const ended = new Promise<void>((done) => child.on('close', () => done()));
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.stdin?.on('error', () => {});
    child.stdout?.once('data', () => {
      abort?.removeEventListener('abort', stop);
      // The lock alone is no reason for this process to stay.
      child.unref();
      resolve({
        release: async () => {
          child.ref();
          child.stdin?.end();
          await ended;
        },
      });
    });
    child.on('error', (cause) =>
      reject(new LabEmulatorError('flock (util-linux) cannot be run', { advice: 'Install util-linux.', cause })),
    );
    child.on('close', (code) => {
      abort?.removeEventListener('abort', stop);
      if (code === 75 || abort?.aborted) resolve(undefined);
      else if (/cannot open lock file/.test(said))
        reject(
          new LabFolderError(`${said.trim()}`, { advice: 'Let XDG_CACHE_HOME name a folder that you may write to.' }),
        );
      else reject(new LabEmulatorError(`flock ended with ${code}: ${said.trim()}`, { advice: `Look at ${file}.` }));
    });
    abort?.addEventListener('abort', stop, { once: true });
    if (abort?.aborted) stop();
  });
}
