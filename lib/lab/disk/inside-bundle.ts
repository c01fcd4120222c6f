/** The command and the public modules for the inside of a lab, of a checkout's sources: one CommonJS file. */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Plugin } from 'esbuild';
import { mendLoweredUsing } from '../../base/lowered-using.ts';
import { codeDir, packageRoot } from '../../base/package.ts';
import { autoLane, laneNames } from '../lanes/index.ts';
import { packageInside } from './init.ts';
import { outside, slowBuiltins } from './inside-only.ts';

/** The expression, and not a word in quotes. */
const ownUrl = /(?<!['`])import\.meta\.url(?!['`])/g;

/** Loads them when something of theirs is used, and not when they are imported. */
export const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup(on) {
    on.onResolve({ filter: new RegExp(`^(?:${slowBuiltins.join('|')})$`) }, ({ path, namespace }) =>
      namespace === 'lazy' ? { path, external: true } : { path, namespace: 'lazy' },
    );
    on.onLoad({ filter: /.*/, namespace: 'lazy' }, ({ path }) => {
      const names = JSON.stringify(Object.keys(createRequire(import.meta.url)(path)));
      const getter = `{ enumerable: true, get: () => require(${JSON.stringify(path)})[name] }`;
      return { contents: `for (const name of ${names}) Object.defineProperty(exports, name, ${getter});` };
    });
  },
};

/**
 * Bundles them: the emulated disk is slow at opening files. A module's `import.meta.url` is what it would be inside, unbundled.
 */
export async function bundleForInside(): Promise<string> {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [join(codeDir, 'cli/lab-entry.ts')],
    write: false,
    absWorkingDir: packageRoot,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    charset: 'ascii',
    minifySyntax: true,
    minifyWhitespace: true,
    // The host has bundled the script before it sends it.
    external: ['esbuild'],
    banner: { js: '(function (require, module, importModule) {' },
    footer: { js: '})' },
    logLevel: 'silent',
    plugins: [
      lazyBuiltins,
      {
        name: 'own-place',
        setup(on) {
          // Inside a lab there is no lab, and no terminal: what is left out need not be read.
          on.onLoad({ filter: /\/(?:lab\/index|lab\/warm\/keeper|review\/command|target\/drawn-line)\.ts$/ }, () => ({
            contents: `throw new Error('${outside}');`,
          }));
          on.onLoad({ filter: /\/faces\/lab\.ts$/ }, async ({ path }) => ({
            contents: (await readFile(path, 'utf8')).replace(
              /export \{([^}]*)\} from '[^']*\/lab\/index\.ts';/,
              refusals,
            ),
            loader: 'ts',
            resolveDir: dirname(path),
          }));
          // Of the lanes, the command line has the names.
          on.onLoad({ filter: /\/lab\/lanes\/index\.ts$/ }, () => ({
            contents: `export const laneNames = ${JSON.stringify(laneNames)}, autoLane = ${JSON.stringify(autoLane)};`,
          }));
          on.onLoad({ filter: /\/evaluate\/import-module\.ts$/ }, () => ({
            contents: 'const outer = importModule; export { outer as importModule };',
          }));
          on.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
            if (relative(codeDir, path).startsWith('..')) return undefined;
            const text = await readFile(path, 'utf8');
            if (text.search(ownUrl) < 0) return undefined;
            const place = join(packageInside, 'dist', relative(codeDir, path).replace(/\.ts$/, '.js'));
            const url = JSON.stringify(pathToFileURL(place).href);
            return { contents: text.replaceAll(ownUrl, url), loader: 'ts', resolveDir: dirname(path) };
          });
        },
      },
    ],
  });
  return mendLoweredUsing(outputFiles[0]!.text);
}

/** In place of an `export` of the lab's functions: each says where it is to be called. */
function refusals(_: string, list: string): string {
  const names = list.split(',').map((word) => word.trim().replace(/^.* as /, ''));
  const values = names.filter((name) => /^\w+$/.test(name)).map((name) => `outside as ${name}`);
  return `const outside = () => { throw new Error('${outside}'); };\nexport { ${values.join(', ')} };`;
}
