import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KvmDsmError } from '../errors.ts';

/** The script cannot be run: there is no such file, or it does not compile. */
export class ScriptFileError extends KvmDsmError {
  readonly code: 'ERR_SCRIPT_MISSING' | 'ERR_SCRIPT_SYNTAX';
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

/**
 * Turns a script and what it imports into one ES module, so that TypeScript and a script's neighbours work the same on
 * the host and inside the lab. `import 'kvm-dsm'` means this very package, wherever the script lies.
 *
 * @param packageAt how the module shall import this package
 */
export async function bundleScript(path: string, packageAt: string): Promise<string> {
  const { build } = await import('esbuild');
  try {
    const { outputFiles } = await build({
      entryPoints: [path],
      bundle: true,
      write: false,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      sourcemap: 'inline',
      // Where a message names a line, the path is what a person would type.
      outdir: process.cwd(),
      sourcesContent: false,
      logLevel: 'silent',
      plugins: [
        {
          name: 'kvm-dsm',
          setup({ onResolve }) {
            onResolve({ filter: /^kvm-dsm$/ }, () => ({ path: packageAt, external: true }));
          },
        },
      ],
    });
    return outputFiles[0]!.text;
  } catch (error) {
    throw new ScriptFileError('ERR_SCRIPT_SYNTAX', (error as Error).message, 'Mend the script.');
  }
}

/** This package's entry point, as a URL. */
export const packageEntry = new URL('../index.js', import.meta.url).href;

/** Where this package lies. */
export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));
