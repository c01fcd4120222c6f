/** Folders for files that are gone when the command ends: in TMPDIR, each open to its user alone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvironmentError } from './errors.ts';

/** The folder for temporary files is missing or full, or cannot be written. */
export class TemporaryFolderError extends EnvironmentError {
  readonly code = 'ERR_TEMPORARY';
}

/** Those that were made; who has removed his own leaves it here. */
const made = new Set<string>();

/** Makes a folder for temporary files. Throws a TemporaryFolderError. */
export function temporaryFolder(): string {
  return temporary(() => noteTemporary(mkdtempSync(join(tmpdir(), 'kvm-dsm-'))));
}

/** A folder that is made elsewhere, and is as temporary. */
export function noteTemporary(path: string): string {
  made.add(path);
  return path;
}

/** For a process that ends in the midst of its work, and whose owners of folders have no turn any more. */
export function removeTemporaryFolders(): void {
  for (const path of made) {
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // Something still writes there: the next run removes what is left.
    }
  }
}

/** What a temporary file's writing needs: what the system refuses of it becomes a TemporaryFolderError. */
export function temporary<T>(write: () => T): T {
  try {
    return write();
  } catch (error) {
    const { syscall, message } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw new TemporaryFolderError(`no temporary file can be made in ${tmpdir()}: ${message}`, {
      advice: 'Let TMPDIR name a folder that is there, has room and may be written.',
      cause: error,
    });
  }
}
