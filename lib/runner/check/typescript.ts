/** The TypeScript that checks a script: the one of the script's own project. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { EnvironmentError } from '../../base/errors.ts';
import { packageRoot } from '../../base/package.ts';

/** There is no TypeScript to check with. */
export class TypescriptMissingError extends EnvironmentError {
  readonly code = 'ERR_TYPESCRIPT_MISSING';

  constructor(script: string) {
    super(
      `There is no typescript for ${script}: neither in its project, nor where the command runs, nor beside kvm-dsm`,
      {
        advice: 'npm install --save-dev typescript @types/node',
      },
    );
  }
}

export interface Typescript {
  readonly version: string;
  /** The program `tsc`, for node. */
  readonly tsc: string;
}

/**
 * The nearest one.
 *
 * @param others where to look after the script's project
 * @throws TypescriptMissingError
 */
export function findTypescript(script: string, others: readonly string[] = [process.cwd(), packageRoot]): Typescript {
  for (const from of [dirname(script), ...others]) {
    const manifest = resolveFrom(from, 'typescript/package.json');
    if (manifest === null) continue;
    const { version, bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string; bin: { tsc: string } };
    return { version, tsc: join(dirname(manifest), bin.tsc) };
  }
  throw new TypescriptMissingError(script);
}

/** The file that a program in this folder would get by that name; `null` if there is none. */
export function resolveFrom(folder: string, name: string): string | null {
  try {
    return createRequire(join(folder, 'from.js')).resolve(name);
  } catch {
    return null;
  }
}
