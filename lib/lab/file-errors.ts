/** What the file system refuses the lab, as errors that name the cause. */
import { KvmDsmError } from '../base/errors.ts';
import { LabFolderError, LabSpaceError } from './errors.ts';

const makeRoom = 'Make room there, or let XDG_CACHE_HOME name a folder on a larger disk.';

/** Does a work that uses files of the lab's. What is refused there ends in a LabSpaceError or a LabFolderError. */
export async function onDisk<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error);
  }
}

function fileError(error: unknown): unknown {
  const { syscall, code, message } = error as NodeJS.ErrnoException;
  if (error instanceof KvmDsmError || syscall === undefined || /^(spawn|kill)/.test(syscall)) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new LabSpaceError(`there is no room: ${message}`, { advice: makeRoom, cause: error });
  return new LabFolderError(`the lab cannot use its files: ${message}`, {
    advice: 'Let XDG_CACHE_HOME name a folder that you may write to; `kvm-dsm lab clean` removes what is damaged.',
    cause: error,
  });
}

/** The same of what a program said before it ended; undefined if that is not the cause. */
export function spaceError(program: string, output: string): LabSpaceError | undefined {
  const line = output.split('\n').find((text) => noRoom.test(text));
  if (line === undefined) return undefined;
  return new LabSpaceError(`there is no room for what ${program} writes: ${line.trim()}`, { advice: makeRoom });
}

/** strerror() of ENOSPC and EDQUOT, however it is spelled, and xorriso's own check. */
const noRoom = /no space left on device|disk quota exceeded|exceeds free space/i;
