/** This package in one file, as it lies on the data disk. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { exportsText } from '../../base/exports-text.ts';
import { runsFromSource } from '../../base/package.ts';
import { mainInside } from './init.ts';
import { bundleForInside } from './inside-bundle.ts';
import { joinPartsForInside } from './inside-parts.ts';

/** The bundle's files, in the package's folder inside. */
const bundleFile = 'package.cjs';
const cacheFile = 'package.cache';
const loadFile = 'load.cjs';

/** iced-x86's module, and its code beside. */
const icedFolder = 'node_modules/iced-x86';
const icedCode = 'iced_x86.code.cjs';

/**
 * Loads a script with the code that V8 compiled when the disk was made: that of all functions that were called there. A cache
 * that does not fit is ignored.
 */
const loadScript = (
  file: string,
  cache: string,
  run: string,
) => `const { readFileSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');
const at = (name) => __dirname + '/' + name;
const script = new Script(readFileSync(at('${file}'), 'latin1'), {
  filename: at('${file}'),
  cachedData: process.env.KVM_DSM_MAKE_CACHE ? undefined : readFileSync(at('${cache}')),
});
script.runInThisContext()(${run});
if (process.env.KVM_DSM_MAKE_CACHE) process.on('exit', () => writeFileSync(at('${cache}'), script.createCachedData()));
`;

const load = loadScript(bundleFile, cacheFile, 'require, module, (url) => import(url)');
const loadIced = loadScript(icedCode, 'iced_x86.cache', 'exports, require, module, __filename, __dirname');

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
  await writeFile(
    join(outdir, bundleFile),
    await (runsFromSource ? bundleForInside() : joinPartsForInside()),
    'latin1',
  );
  await writeFile(join(outdir, loadFile), load);
  await writeFile(join(outdir, basename(mainInside)), start);
  mkdirSync(join(outdir, 'dist/faces'));
  await writeIced(join(outdir, icedFolder));
  for (const [module, names] of Object.entries(makeCache(outdir))) {
    const face = module.split('/')[1];
    const file = face === undefined ? 'dist/index.js' : `dist/faces/${face}.js`;
    const load = relative(dirname(file), loadFile);
    const text = `import package_ from '${load}';\nconst module = await package_.publicModules['${module}']();\n`;
    await writeFile(join(outdir, file), `${text}${exportsText(names, 'module')}\n`);
  }
}

/** iced-x86 is not in the bundle: it is loaded when something is assembled or disassembled. */
async function writeIced(dir: string): Promise<void> {
  const main = createRequire(import.meta.url).resolve('iced-x86');
  const { transform } = await import('esbuild');
  const { code } = await transform(await readFile(main, 'utf8'), { charset: 'ascii', minifyWhitespace: true });
  mkdirSync(dir, { recursive: true });
  await writeFile(join(dir, icedCode), `(function (exports, require, module, __filename, __dirname) {${code}\n})`);
  await writeFile(join(dir, basename(main)), loadIced);
  for (const name of readdirSync(dirname(main)))
    if (/\.(json|wasm)$/.test(name)) copyFileSync(join(dirname(main), name), join(dir, name));
}

/**
 * Runs the bundle once, in a process of its own, for V8's code; returns the names of each public module. An instruction is
 * assembled for the code of that, which nearly every script takes.
 */
function makeCache(outdir: string): Record<string, string[]> {
  const bundle = JSON.stringify(join(outdir, loadFile));
  const iced = JSON.stringify(createRequire(join(outdir, loadFile)).resolve('iced-x86'));
  // The bundle looks for iced-x86 where it will be inside.
  const script = `
    const Module = require('node:module');
    const resolve = Module._resolveFilename;
    Module._resolveFilename = (name, ...more) => (name === 'iced-x86' ? ${iced} : resolve(name, ...more));
    const { publicModules } = require(${bundle});
    (async () => {
      const names = {};
      for (const [name, load] of Object.entries(publicModules)) names[name] = Object.keys(await load());
      (await publicModules['kvm-dsm']()).asm.flat32\`mov dword [0xfee00300], 0x000040f0\`;
      console.log(JSON.stringify(names));
    })();`;
  const env = { ...process.env, KVM_DSM_MAKE_CACHE: '1', NODE_OPTIONS: '' };
  // What it says when it fails becomes part of the error.
  const text = execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8', stdio: 'pipe' });
  return JSON.parse(text) as Record<string, string[]>;
}
