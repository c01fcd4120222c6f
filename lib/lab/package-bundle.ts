import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageRoot, runsFromSource } from './paths.ts';

/** The expression, and not a word in quotes. */
const ownUrl = /(?<!['`])import\.meta\.url(?!['`])/g;

/**
 * Bundles this package's command and its public module into a few files below `outdir`/dist.
 *
 * The emulated disk is slow at opening files and the emulated CPU at compiling code that nobody runs. What a subcommand
 * loads when it is called stays apart, and both entry points share their modules.
 *
 * @param outdir where the bundle goes
 * @param inside where it will lie in the guest: a module's `import.meta.url` is what it would be there, unbundled
 */
export async function bundlePackage(outdir: string, inside: string): Promise<void> {
  const { build } = await import('esbuild');
  const code = join(packageRoot, runsFromSource ? 'lib' : 'dist');
  const extension = runsFromSource ? 'ts' : 'js';
  mkdirSync(outdir, { recursive: true });
  await build({
    entryPoints: { 'cli/main': join(code, `cli/main.${extension}`), index: join(code, `index.${extension}`) },
    outdir: join(outdir, 'dist'),
    absWorkingDir: packageRoot,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minifySyntax: true,
    // The host has bundled the script before it sends it.
    external: ['esbuild'],
    // What CommonJS packages call.
    banner: { js: "import { createRequire as $cr } from 'node:module'; const require = $cr(import.meta.filename);" },
    logLevel: 'silent',
    plugins: [
      {
        name: 'own-place',
        setup(on) {
          on.onLoad({ filter: /\.[jt]s$/ }, async ({ path }) => {
            if (relative(code, path).startsWith('..')) return undefined;
            const text = await readFile(path, 'utf8');
            if (text.search(ownUrl) < 0) return undefined;
            const place = join(inside, 'dist', relative(code, path).replace(/\.ts$/, '.js'));
            const url = JSON.stringify(pathToFileURL(place).href);
            return { contents: text.replaceAll(ownUrl, url), loader: extension, resolveDir: dirname(path) };
          });
        },
      },
    ],
  });
}
