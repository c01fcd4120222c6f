/** The steps of a kernel's build, each a program that runs to its end. */
import { findProgram } from '../../host/programs.ts';
import { LabBuildError, LabInterruptedError } from '../errors.ts';
import { spaceError } from '../file-errors.ts';
import { runBound } from '../process.ts';

/**
 * What a kernel's image would tell of the build: the same of every build, so that equal sources and an equal compiler give an
 * equal image.
 *
 * Source: Documentation/kbuild/reproducible-builds.rst.
 */
const buildNames = [
  'KBUILD_BUILD_USER=kvm-dsm',
  'KBUILD_BUILD_HOST=lab',
  'KBUILD_BUILD_VERSION=1',
  'KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 1970',
];

/** Runs the kernel's make. */
export function make(
  tree: string,
  out: string,
  args: string[],
  abort: AbortSignal | undefined,
  onLine?: (line: string) => void,
): Promise<void> {
  const where = tree === out ? [] : [`O=${out}`];
  return must('make', ['-C', tree, 'ARCH=x86', ...where, ...buildNames, ...compilers(), ...args], abort, onLine);
}

/**
 * make's words for the compilers: ccache calls them where it is installed, and what it has seen before is not compiled again.
 * The kernel's own files name all that they include (-MMD without headers of the system): what is new to ccache is not
 * preprocessed once more than without it, which was a quarter of the CPU time of init/main.c.
 */
export function compilers(folders?: string[]): string[] {
  return findProgram('ccache', folders) ? ['CC=env CCACHE_DEPEND=1 ccache gcc', 'HOSTCC=ccache gcc'] : [];
}

/** Runs a step; its last lines are in the error if it fails. */
export async function must(
  command: string,
  args: string[],
  abort: AbortSignal | undefined,
  onLine: (line: string) => void = () => {},
): Promise<void> {
  // A MAKEFLAGS, KCFLAGS or KBUILD_* of the caller's own build would change what this one makes.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(MAKE|MFLAGS|KBUILD|KCONFIG|K(C|A|CPP)FLAGS$|ARCH$|CROSS_COMPILE$|LLVM|LOCALVERSION$)/.test(name),
    ),
  );
  const done = await runBound(command, args, { env: { ...env, LC_ALL: 'C' }, abort, onLine });
  if (abort?.aborted)
    throw new LabInterruptedError('the build was interrupted', { advice: 'Run it again: it starts anew.' });
  if (done.code === 0) return;
  const space = spaceError(command, done.output);
  if (space) throw space;
  const said = done.output.trim().split('\n').slice(-25).join('\n');
  throw new LabBuildError(`${command} ended with ${done.code ?? done.signal}:\n${said}`, {
    advice: 'Mend what the lines above name, then run `kvm-dsm lab build` again.',
  });
}
