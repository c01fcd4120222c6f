import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { mendLoweredUsing } from '../../base/lowered-using.ts';
import { codeDir } from '../../base/package.ts';
import { ScriptFileError } from '../script-file.ts';

/**
 * Turns a module and what it imports into one ES module, so that TypeScript and its neighbours work the same on
 * the host and inside the lab. `import 'kvm-dsm'`, or one of its other entries, means this very package, wherever the script
 * lies.
 *
 * @param packageAt how the module shall import this package: its `index.js`, which has the others beside it in `faces`
 */
export async function bundleModule(path: string, packageAt: string): Promise<string> {
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
            onResolve({ filter: /^kvm-dsm\/\w+$/ }, ({ path }) => ({
              path: packageAt.replace(/index\.js$/, `faces/${path.slice('kvm-dsm/'.length)}.js`),
              external: true,
            }));
          },
        },
      ],
    });
    return mendLoweredUsing(outputFiles[0]!.text);
  } catch (error) {
    throw new ScriptFileError('ERR_SCRIPT_SYNTAX', (error as Error).message, 'Mend the script.');
  }
}

/** This package's entry point, as a URL. */
export const packageEntry = pathToFileURL(join(codeDir, 'index.js')).href;
