// Puts the compiler's modules into a few parts, and these into the files of dist/chunks.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { bundledName, isBundled, thirdParty } from './third-party.mjs';

const isRelative = (name) => /^[./]/.test(name);

/** What only the outside of a lab has: the loader's place inside says so. */
const outside = /^(?:lab\/index|lab\/warm\/keeper|review\/command|target\/drawn-line)\.js$/;

/** They load a test runner, which nobody else does: each has a part of its own. */
const runners = ['faces/node-test', 'runner/as-vitest'];

/** What the entry asks for that is no part: see tools/bundle.mjs. */
export const forVitest = 'script/needs-kvm';

/** The modules that are loaded with these, whatever is called later; with `later`, what is called later as well. */
function loadedWith(out, modules, info, later = false) {
  const found = new Set();
  const queue = modules.map((name) => join(out, `${name}.js`));
  for (const id of queue) {
    if (found.has(id) || (later && outside.test(relative(out, id)))) continue;
    found.add(id);
    const known = info(id);
    queue.push(...(known?.importedIds.filter(isRelative) ?? []));
    if (later) queue.push(...(known?.dynamicallyImportedIds.filter(isRelative) ?? []));
  }
  return found;
}

function partsOf(out, faces, info) {
  const begin = loadedWith(out, ['cli/start'], info);
  const kit = loadedWith(
    out,
    faces.filter((face) => face !== 'faces/lab' && !runners.includes(face)),
    info,
  );
  return [
    ['base', new Set([...begin].filter((id) => kit.has(id)))],
    ['start', begin],
    ['kit', kit],
  ];
}

/**
 * In which part a module goes: one with what the kit and the command's begin have in common, one with what the command needs to
 * begin beside that, one with what the kit needs, one for what the lab has inside as well, and one for each other room. Each
 * imports only such as stand below it, so that the kit does not load the command's parser.
 */
function partOf(out, faces) {
  let parts;
  let inside;
  return (id, context) => {
    const info = (module) => context.getModuleInfo(module);
    parts ??= partsOf(out, faces, info);
    inside ??= loadedWith(out, ['cli/lab-entry'], info, true);
    // In a part of their own: one that hands on what imports it would be loaded in a circle.
    const third = bundledName(id);
    if (third !== null) return third.replace(/\W+/g, '-').replace(/^-/, '');
    if (!id.startsWith(out)) return null;
    const [room, folder] = relative(out, id).split('/');
    const part = parts.find(([, modules]) => modules.has(id))?.[0];
    // These load or ask what nothing below may: each goes where it is asked for.
    if ([...runners, forVitest].includes(relative(out, id).replace(/\.js$/, ''))) return null;
    if (room === 'cli') return part === 'start' ? part : null;
    if (part === undefined && room === 'lab' && inside.has(id)) return 'shared';
    // What asks for schedules is of no use without them.
    if (part === undefined && room === 'script' && folder === 'explore') return 'schedule';
    return part ?? (folder === 'subjects' ? folder : room);
  };
}

/** Lets a source map lead through the compiler's to lib; and hands the loader's import on, which is a module's own. */
const sources = (out) => ({
  name: 'sources',
  load(id) {
    if (!id.startsWith(out)) return null;
    if (id.endsWith('/evaluate/import-module.js'))
      return 'const outer = importModule; export { outer as importModule };';
    return { code: readFileSync(id, 'utf8'), map: readFileSync(`${id}.map`, 'utf8') };
  },
});

/** The parts, each the body of a function, by rolldown. */
async function partsFrom({ root, out, faces }) {
  const build = await rolldown({
    cwd: root,
    input: Object.fromEntries(
      [...faces, forVitest, 'cli/start', 'cli/lab-entry'].map((name) => [name, join(out, `${name}.js`)]),
    ),
    platform: 'node',
    external: (name) => !isRelative(name) && !isBundled(name),
    plugins: [thirdParty(root), sources(out)],
    // An import of another package is for what it does as well: in the order in which it stands.
    treeshake: { moduleSideEffects: true },
    preserveEntrySignatures: 'allow-extension',
    // In which part a module goes is partOf's affair.
    checks: { ineffectiveDynamicImport: false, bundlerTimings: false },
  });
  const { output } = await build.generate({
    dir: join(root, 'dist'),
    format: 'cjs',
    exports: 'named',
    strict: true,
    sourcemap: 'hidden',
    comments: false,
    // Without spaces and lines; functions and classes keep their names: stacks are read by people.
    keepNames: true,
    minify: { compress: true, mangle: { toplevel: false, keepNames: true }, codegen: { removeWhitespace: true } },
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    codeSplitting: { groups: [{ name: partOf(out, faces), debugName: 'room' }], includeDependenciesRecursively: false },
  });
  await build.close();
  return output.filter(({ type }) => type === 'chunk');
}

/** Where the code is to import what is no part: in the loader's words. */
const otherImport = /\bimport\(`([\w@/-]+)`\)/g;

/** Throws unless every character takes one byte: V8 then keeps the code in half the memory, and the lab reads it as it is. */
function asciiCode({ code, fileName }) {
  if (code.length !== Buffer.byteLength(code)) throw new Error(`${fileName} is not ASCII`);
  return code.replace(otherImport, 'importModule(`$1`)');
}

/** Names and texts in turn, as dist/load.cjs and lib/lab/kernel/inputs.ts read them. */
export function pack(file, words) {
  const odd = words.find((word) => word.includes('\0'));
  if (odd !== undefined) throw new Error(`${file} cannot hold ${JSON.stringify(odd.slice(0, 60))}`);
  writeFileSync(file, brotliCompressSync(words.join('\0')));
}

/** A part of this size has a file of its own; the smaller ones share one with what all load. */
const large = 8000;
const shared = /^(?:chunks\/base|cli\/.*|chunks\/start|index|faces\/.*)\.js$/;

/**
 * Writes the parts, packed, into dist/chunks. Beside them lies what is not in the package: each as it is packed, and its source map.
 *
 * @returns by part: its file, and what it exports
 */
export async function writeParts(from) {
  const dist = join(from.root, 'dist');
  const packed = new Map();
  const parts = {};
  for (const chunk of await partsFrom(from)) {
    const name = chunk.fileName;
    const code = asciiCode(chunk);
    const own = code.length > large && !shared.test(name);
    const file = own ? name.replace(/\.js$/, '.br') : 'chunks/base.br';
    packed.set(file, [...(packed.get(file) ?? []), name, code]);
    parts[name] = { file, exports: chunk.exports };
    if (!name.startsWith('chunks/')) continue;
    writeFileSync(join(dist, name), code);
    writeFileSync(join(dist, `${name}.map`), JSON.stringify(chunk.map));
  }
  for (const [file, words] of packed) pack(join(dist, file), words);
  return parts;
}
