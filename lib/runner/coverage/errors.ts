/** Nothing can be said of which lines a run has reached. */
import { EnvironmentError, KvmDsmError } from '../../base/errors.ts';

/** What gcov needs is missing, or does not fit the kernel that counted. */
export class CoverageError extends KvmDsmError {
  readonly code = 'ERR_COVERAGE';
  override readonly exitCode = 3;

  constructor(message: string) {
    super(message, {
      advice:
        'gcov comes with gcc, and has to be of the version that compiled the kernel. `kvm-dsm lab build --flavour gcov ' +
        '--from-source` builds that anew.',
    });
  }
}

/** What a run has reached cannot be written. */
export class CoverageFolderError extends EnvironmentError {
  readonly code = 'ERR_COVERAGE_FOLDER';

  constructor(folder: string, cause: Error) {
    super(`--coverage ${folder}: ${cause.message}`, {
      cause,
      advice: 'Name a folder that can be made and written, or make room there.',
    });
  }
}
