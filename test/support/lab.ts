import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { debianSourceVersion, kernelSourcePackage, tarballNeeds } from '../../lib/lab/needs/building.ts';
import { lackingOf } from '../../lib/lab/needs/need.ts';
import './own-session.ts';

let answer: string | false | undefined;

/** Why no kernel can be compiled here, whatever its source is; false if one can. */
export function compilerMissing(): string | false {
  const lacking = lackingOf(tarballNeeds).map(({ name }) => name);
  return lacking.length > 0 && `there is no ${lacking.join(', no ')}`;
}

/** Why nothing can be done with Debian's source of the kernel; false if it is here. */
export function sourceMissing(): string | false {
  return debianSourceVersion() === undefined && `Debian's ${kernelSourcePackage} is not here`;
}

/**
 * Why lab tests cannot run here; false if they can. Installs what is missing, and builds the lab's kernel where none is ready,
 * which takes minutes; its progress goes to standard error.
 */
export function labMissing(): string | false {
  answer ??= build();
  return answer;
}

function build(): string | false {
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  try {
    execFileSync(process.execPath, [main, 'lab', 'build'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 3_600_000,
    });
    return false;
  } catch (error) {
    const { status } = error as { status?: number };
    // 3: this machine cannot have a lab. Anything else is a fault that has to show.
    if (status === 3) return 'the lab cannot be built here: see the words of `lab build` above';
    throw error;
  }
}
