import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildOptions } from 'esbuild';
import { KvmDsmError } from '../../base/errors.ts';
import { modulePlaces, nodeModules, placeDefines, SCRIPT, scriptItself, thisPackage } from './script-modules.ts';

/** The script cannot be run: there is no such file, it does not compile, or it brings too much along. */
export class ScriptFileError extends KvmDsmError {
  readonly code: 'ERR_SCRIPT_MISSING' | 'ERR_SCRIPT_SYNTAX' | 'ERR_SCRIPT_SIZE';
  override readonly exitCode = 2;

  constructor(code: ScriptFileError['code'], message: string, advice: string) {
    super(message, { advice });
    this.code = code;
  }
}

/** Throws `ScriptFileError` unless there is a file of that name. Returns its absolute path. */
export function findScript(script: string): string {
  const path = resolve(script);
  if (existsSync(path) && statSync(path).isFile()) return path;
  throw new ScriptFileError(
    'ERR_SCRIPT_MISSING',
    `There is no script ${script}`,
    'Give the path of a .ts or .js file.',
  );
}

/** A script and what it imports, as one text. */
export interface ScriptBundle {
  /** The body of an asynchronous function: see `ScriptFunction`. */
  code: string;
  /** Files beside its modules that these name, by their paths here. */
  assets: string[];
  /** True if it imports node:test. */
  tests: boolean;
}

/** How esbuild turns a script and what it imports into that text; `found` is filled while it does so. */
export async function bundleOptions(path: string, root: string, found: { assets: Set<string>; tests: boolean }) {
  const names = Object.keys(await import('../../index.ts'));
  return {
    stdin: { contents: `import '${SCRIPT}';`, resolveDir: dirname(path) },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    define: placeDefines,
    sourcemap: 'inline',
    // Where a message names a line, the path is what a person would type.
    outfile: join(process.cwd(), 'script.js'),
    sourcesContent: false,
    logLevel: 'silent',
    plugins: [
      scriptItself(path),
      thisPackage(names),
      nodeModules((name) => {
        if (name === 'node:test') found.tests = true;
      }),
      modulePlaces(root, found.assets),
    ],
  } satisfies BuildOptions;
}

/**
 * Turns a script and what it imports into one text, so that TypeScript and a script's neighbours work the same on the
 * host and inside the lab. `import 'kvm-dsm'` means this very package, wherever the script lies.
 *
 * @param root the folder that stands for / where the script will run
 */
export async function bundleScript(path: string, root: string): Promise<ScriptBundle> {
  const { build } = await import('esbuild');
  const found = { assets: new Set<string>(), tests: false };
  try {
    const { outputFiles } = await build(await bundleOptions(path, root, found));
    return { code: outputFiles[0]!.text, assets: [...found.assets], tests: found.tests };
  } catch (error) {
    throw new ScriptFileError('ERR_SCRIPT_SYNTAX', (error as Error).message, 'Mend the script.');
  }
}

/** Where this package lies. */
export const packageRoot = fileURLToPath(new URL('../../..', import.meta.url));
