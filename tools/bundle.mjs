// Makes dist of what the compiler wrote into out: an entry of package.json's `exports` and the command load a few files
// instead of hundreds. Beside it lie the declarations of the entries, and the command for the inside of a lab, in one file.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';
import { rolldown } from 'rolldown';
import { buildTracePage } from './trace-page/build.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'out');
const dist = join(root, 'dist');
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** `index`, `faces/kvm`, ... */
const faces = Object.values(exports).flatMap((entry) =>
  entry.import ? [relative('dist', entry.import.default).replace(/\.js$/, '')] : [],
);
/** They load a test runner, which nobody else does. */
const runners = ['faces/node-test', 'faces/vitest', 'runner/as-vitest'];
const command = 'cli/main';
/** What it loads at once. */
const start = 'cli/start';
const isRelative = (name) => /^[./]/.test(name);

/** What is put into dist, with what it imports itself: it is no dependency of the package. */
const bundled = { 'ansi-escapes': ['*', '{ default }'], '@bufbuild/protobuf/wire': ['*'] };
const isBundled = (name) => Object.hasOwn(bundled, name);
/** A package's folder, of a file in it. */
const inModules = /^.*\/?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;

/** Makes one small module of such a package. Its code is nobody's here to read; its license stands beside it. */
const thirdParty = {
  name: 'third-party',
  resolveId: (id) => (isBundled(id) ? `\0${id}` : null),
  async load(id) {
    const name = id.slice(1);
    if (!id.startsWith('\0') || !isBundled(name)) return null;
    const { outputFiles, metafile } = await build({
      stdin: {
        contents: bundled[name].map((what) => `export ${what} from '${name}';`).join('\n'),
        resolveDir: root,
      },
      ...{ bundle: true, write: false, minify: true, metafile: true, legalComments: 'none' },
      ...{ format: 'esm', platform: 'node', target: 'node20' },
    });
    for (const file of Object.keys(metafile.inputs)) {
      const folder = inModules.exec(file)?.[0];
      if (folder !== undefined) folders.add(folder);
    }
    return outputFiles[0].text;
  },
};

/** Those whose code has been put there. */
const folders = new Set();

function licenses() {
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const file = readdirSync(join(root, folder)).find((one) => /^licen[cs]e/i.test(one));
    // One that names its license has no text of it to give.
    const text = file === undefined ? license : readFileSync(join(root, folder, file), 'utf8').trim();
    return `${name} ${version}\n\n${text}\n`;
  });
  mkdirSync(dist, { recursive: true });
  writeFileSync(join(dist, 'licenses.txt'), texts.join('\n----\n\n'));
}

/** The modules that are loaded with these, whatever is called later. */
function loadedWith(modules, info) {
  const found = new Set();
  const queue = modules.map((name) => join(out, `${name}.js`));
  for (const id of queue) {
    if (found.has(id)) continue;
    found.add(id);
    queue.push(...(info(id)?.importedIds.filter(isRelative) ?? []));
  }
  return found;
}

function partsOf(info) {
  const begin = loadedWith([start], info);
  const kit = loadedWith(
    faces.filter((face) => face !== 'faces/lab' && !runners.includes(face)),
    info,
  );
  return [
    ['base', new Set([...begin].filter((id) => kit.has(id)))],
    ['start', begin],
    ['kit', kit],
    ['lab', loadedWith(['faces/lab'], info)],
  ];
}

/**
 * In which file a module goes: one with what the kit and the command's begin have in common, one with what the command needs to
 * begin beside that, one with what the kit needs, one for the lab, and one for each other room. Each imports only such as stand
 * below it, so that the kit does not load the command's parser.
 */
function chunkOf() {
  let parts;
  return (id, context) => {
    const info = (module) => context.getModuleInfo(module);
    parts ??= partsOf(info);
    if (!id.startsWith(out)) return null;
    const [room, folder] = relative(out, id).split('/');
    const part = parts.find(([, modules]) => modules.has(id))?.[0];
    // Its files load what nothing below may: each goes where it is asked for.
    if (runners.includes(relative(out, id).replace(/\.js$/, ''))) return null;
    if (room === 'cli') return part === 'start' ? part : null;
    return part ?? (folder === 'subjects' ? folder : room);
  };
}

/** Lets a source map lead through the compiler's to lib. */
const withMaps = {
  name: 'maps',
  load(id) {
    if (!id.startsWith(out)) return null;
    return { code: readFileSync(id, 'utf8'), map: readFileSync(`${id}.map`, 'utf8') };
  },
};

async function bundle() {
  const all = await rolldown({
    cwd: root,
    input: Object.fromEntries([...faces, command].map((name) => [name, join(out, `${name}.js`)])),
    platform: 'node',
    external: (name) => !isRelative(name) && !isBundled(name),
    plugins: [thirdParty, withMaps],
    // An import of another package is for what it does as well: in the order in which it stands.
    treeshake: { moduleSideEffects: true },
    preserveEntrySignatures: 'allow-extension',
    // In which file a module goes is chunkOf's affair.
    checks: { ineffectiveDynamicImport: false },
  });
  await all.write({
    dir: dist,
    format: 'esm',
    sourcemap: true,
    comments: false,
    // Names stay: stacks are read by people.
    keepNames: true,
    minify: false,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    codeSplitting: { groups: [{ name: chunkOf(), debugName: 'room' }], includeDependenciesRecursively: false },
  });
  await all.close();
}

/** Copies the declarations that those of the entries lead to. */
function declarations() {
  const found = new Set();
  const queue = faces.map((face) => join(out, `${face}.d.ts`));
  for (const path of queue) {
    if (found.has(path)) continue;
    found.add(path);
    const text = readFileSync(path, 'utf8');
    for (const [, name] of text.matchAll(/(?:from|import|import\()\s*['"](\.[^'"]+)\.(?:js|ts)['"]/g))
      queue.push(resolve(dirname(path), `${name}.d.ts`));
    const to = join(dist, relative(out, path));
    mkdirSync(dirname(to), { recursive: true });
    cpSync(path, to);
  }
}

async function inside() {
  const { bundleForInside, prebuiltName } = await import('../out/lab/disk/inside-bundle.js');
  writeFileSync(join(dist, prebuiltName), brotliCompressSync(await bundleForInside(out, 'js')));
}

rmSync(dist, { recursive: true, force: true });
await bundle();
licenses();
declarations();
await inside();
await buildTracePage(dist);
