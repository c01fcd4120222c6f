/** This package in one file, as it lies on the data disk. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import { codeDir, runsFromSource } from '../../base/package.ts';
import { mainInside } from './init.ts';
import { bundleForInside, prebuiltName } from './inside-bundle.ts';

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

/**
 * Writes this package's command and its public modules as one file, with V8's compiled code beside it.
 *
 * The emulated disk is slow at opening files and the emulated CPU at compiling code. A user's script imports
 * dist/index.js or one of dist/faces, which hand it the modules of the running command.
 *
 * @param outdir where the files go
 */
export async function bundlePackage(outdir: string): Promise<void> {
  mkdirSync(join(outdir, 'dist'), { recursive: true });
  await writeFile(join(outdir, bundleFile), await codeForInside(), 'latin1');
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

async function codeForInside(): Promise<string> {
  if (runsFromSource) return bundleForInside(codeDir, 'ts');
  return brotliDecompressSync(await readFile(join(codeDir, prebuiltName))).toString('latin1');
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
