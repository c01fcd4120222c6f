/** A user's script and what it imports, bundled into one text. */
import { dirname, join } from 'node:path';
import type { BuildOptions } from 'esbuild';
import { mendLoweredUsing } from '../../base/lowered-using.ts';
import { ScriptFileError } from '../script-file.ts';
import { modulePlaces, nodeModules, placeDefines, SCRIPT, scriptItself, thisPackage } from './plugins.ts';
import { loadModules, type PublicModules } from './public-modules.ts';
import { AS_VITEST, vitestNames } from './vitest-names.ts';

/** A script and what it imports, as one text. */
export interface ScriptBundle {
  /** The body of an asynchronous function: see `ScriptFunction`. */
  code: string;
  /** The public modules that it imports. */
  imports: string[];
  /** Files beside its modules that these name, by their paths here. */
  assets: string[];
  /** True if it imports node:test, itself or by what stands for it. */
  tests: boolean;
}

/** What is found while a script is bundled. */
export interface FoundInScript {
  imports: Set<string>;
  assets: Set<string>;
  tests: boolean;
}

export const nothingFound = (): FoundInScript => ({ imports: new Set(), assets: new Set(), tests: false });

/** How esbuild turns a script and what it imports into that text; `found` is filled while it does so. */
export function bundleOptions(path: string, root: string, modules: PublicModules, found: FoundInScript) {
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
      vitestNames(),
      thisPackage(Object.keys(modules), async (name) => {
        found.imports.add(name);
        if (name === 'kvm-dsm/node-test' || name === AS_VITEST) found.tests = true;
        return Object.keys((await loadModules(modules, [name]))[name]!);
      }),
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
export async function bundleScript(path: string, root: string, modules: PublicModules): Promise<ScriptBundle> {
  const { build } = await import('esbuild');
  const found = nothingFound();
  try {
    const { outputFiles } = await build(bundleOptions(path, root, modules, found));
    const { imports, assets, tests } = found;
    return { code: mendLoweredUsing(outputFiles[0]!.text), imports: [...imports], assets: [...assets], tests };
  } catch (error) {
    throw new ScriptFileError('ERR_SCRIPT_SYNTAX', (error as Error).message, 'Mend the script.');
  }
}
