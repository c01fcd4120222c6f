/** This package in one file, as it lies on the data disk. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Plugin } from 'esbuild';
import { mendLoweredUsing } from '../../base/lowered-using.ts';
import { packageRoot } from '../../base/package.ts';
import { autoLane, laneNames } from '../lanes/index.ts';
import { runsFromSource } from '../paths.ts';
import { mainInside } from './init.ts';

/** The expression, and not a word in quotes. */
const ownUrl = /(?<!['`])import\.meta\.url(?!['`])/g;

/** The bundle's files, in the package's folder inside. */
const bundleFile = 'package.cjs';
const cacheFile = 'package.cache';
const loadFile = 'load.cjs';

/** Loads the bundle with the code that V8 compiled when the disk was made. A cache that does not fit is ignored. */
const load = `const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');
const at = (name) => __dirname + '/' + name;
const script = new Script(readFileSync(at('${bundleFile}'), 'latin1'), {
  filename: at('${bundleFile}'),
  cachedData: process.env.KVM_DSM_MAKE_CACHE ? undefined : readFileSync(at('${cacheFile}')),
});
script.runInThisContext()(require, module, (url) => import(url));
if (process.env.KVM_DSM_MAKE_CACHE) require('node:fs').writeFileSync(at('${cacheFile}'), script.createCachedData());
`;

const start = `require('./${loadFile}').main(process.argv).then((code) => process.exit(code));
`;

/** Parts of Node.js that take long to load, and that most of what runs inside never calls. */
const slowBuiltins = /^(?:node:)?(?:child_process|crypto|net|perf_hooks|readline|tty|worker_threads|zlib)$/;

/** Loads them when something of theirs is used, and not when they are imported. */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup(on) {
    on.onResolve({ filter: slowBuiltins }, ({ path, namespace }) =>
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
 * Bundles this package's command and its public modules into one file, with V8's compiled code beside it.
 *
 * The emulated disk is slow at opening files and the emulated CPU at compiling code. A user's script imports
 * dist/index.js or one of dist/faces, which hand it the modules of the running command.
 *
 * @param outdir where the bundle goes
 * @param inside where it will lie inside: a module's `import.meta.url` is what it would be there, unbundled
 */
export async function bundlePackage(outdir: string, inside: string): Promise<void> {
  const { build } = await import('esbuild');
  const code = join(packageRoot, runsFromSource ? 'lib' : 'dist');
  const extension = runsFromSource ? 'ts' : 'js';
  mkdirSync(join(outdir, 'dist'), { recursive: true });
  await build({
    entryPoints: [join(code, `cli/lab-entry.${extension}`)],
    outfile: join(outdir, bundleFile),
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
          // Inside a lab there is no lab: what is left out need not be read.
          on.onLoad({ filter: /\/(?:lab\/index|lab\/warm\/keeper|review\/command)\.[jt]s$/ }, () => ({
            contents: `throw new Error('${outside}');`,
          }));
          on.onLoad({ filter: /\/faces\/lab\.[jt]s$/ }, async ({ path }) => ({
            contents: (await readFile(path, 'utf8')).replace(
              /export \{([^}]*)\} from '[^']*\/lab\/index\.[jt]s';/,
              refusals,
            ),
            loader: extension,
            resolveDir: dirname(path),
          }));
          // Of the lanes, the command line has the names.
          on.onLoad({ filter: /\/lab\/lanes\/index\.[jt]s$/ }, () => ({
            contents: `export const laneNames = ${JSON.stringify(laneNames)}, autoLane = ${JSON.stringify(autoLane)};`,
          }));
          on.onLoad({ filter: /\/evaluate\/import-module\.[jt]s$/ }, () => ({
            contents: 'const outer = importModule; export { outer as importModule };',
          }));
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
  const bundle = join(outdir, bundleFile);
  await writeFile(bundle, mendLoweredUsing(await readFile(bundle, 'latin1')), 'latin1');
  await writeFile(join(outdir, loadFile), load);
  await writeFile(join(outdir, basename(mainInside)), start);
  mkdirSync(join(outdir, 'dist/faces'));
  for (const [module, names] of Object.entries(makeCache(outdir))) {
    const face = module.split('/')[1];
    const file = face === undefined ? 'dist/index.js' : `dist/faces/${face}.js`;
    const load = relative(dirname(file), loadFile);
    const text = `import package_ from '${load}';\nconst module = await package_.publicModules['${module}']();\n`;
    await writeFile(join(outdir, file), `${text}export const { ${names.join(', ')} } = module;\n`);
  }
}

const outside = 'this is a machine of the lab: the lab is outside';

/** In place of an `export` of the lab's functions: each says where it is to be called. */
function refusals(_: string, list: string): string {
  const names = list.split(',').map((word) => word.trim().replace(/^.* as /, ''));
  const values = names.filter((name) => /^\w+$/.test(name)).map((name) => `outside as ${name}`);
  return `const outside = () => { throw new Error('${outside}'); };\nexport { ${values.join(', ')} };`;
}

/** Runs the bundle once, in a process of its own, for V8's code; returns the names of each public module. */
function makeCache(outdir: string): Record<string, string[]> {
  const load = `Object.entries(require(${JSON.stringify(join(outdir, loadFile))}).publicModules)`;
  const names = `async ([name, load]) => [name, Object.keys(await load())]`;
  const script = `Promise.all(${load}.map(${names})).then((all) => console.log(JSON.stringify(Object.fromEntries(all))))`;
  const env = { ...process.env, KVM_DSM_MAKE_CACHE: '1', NODE_OPTIONS: '' };
  // What it says when it fails becomes part of the error.
  const text = execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8', stdio: 'pipe' });
  return JSON.parse(text) as Record<string, string[]>;
}
