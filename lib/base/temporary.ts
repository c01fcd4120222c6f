/** Folders for files that are gone when the command ends: in TMPDIR, each open to its user alone. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvironmentError } from './errors.ts';

/** The folder for temporary files is missing or full, or cannot be written. */
export class TemporaryFolderError extends EnvironmentError {
  readonly code = 'ERR_TEMPORARY';
}

/** Makes a folder for temporary files. Throws a TemporaryFolderError. */
export function temporaryFolder(): string {
  return temporary(() => mkdtempSync(join(tmpdir(), 'kvm-dsm-')));
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
