// Makes dist of what the compiler wrote into out: the library in a few packed parts, the loader for them, and for each entry of
// package.json's `exports` a file for `import`, one for `require`, and its declarations.
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transform } from 'esbuild';
import { writeDeclarations } from './bundle/declarations.mjs';
import { forVitest, pack, writeParts } from './bundle/parts.mjs';
import { writeLicenses } from './bundle/third-party.mjs';
import { buildTracePage } from './trace-page/build.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'out');
const dist = join(root, 'dist');
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** `index`, `faces/kvm`, ... */
const faces = Object.values(exports).flatMap((entry) =>
  entry.import ? [relative('dist', entry.import.default).replace(/\.js$/, '')] : [],
);

const write = (name, text) => {
  mkdirSync(dirname(join(dist, name)), { recursive: true });
  writeFileSync(join(dist, name), text);
};

/** An entry's files: both hand on what the loader has, so that a process has one copy of each class, however it came by it. */
function writeEntry(name, names) {
  const loader = relative(dirname(join(dist, name)), join(dist, 'load.cjs')).replace(/^(?!\.)/, './');
  const own = names.filter((one) => one !== 'default');
  const more = own.length === names.length ? '' : `export default load('${name}.js').default;\n`;
  write(
    `${name}.js`,
    `import load from '${loader}';\nexport const { ${own.join(', ')} } = load('${name}.js');\n${more}`,
  );
  if (!faces.includes(name)) return;
  write(`${name}.cjs`, `'use strict';\nmodule.exports = require('${loader}')('${name}.js');\n`);
  write(`${name}.d.cts`, `export * from './${name.split('/').at(-1)}.js';\n`);
}

/** vitest takes an import alone, which no part has: this entry is a module as the compiler wrote it. */
function writeVitestEntry(name) {
  const code = readFileSync(join(out, `${name}.js`), 'utf8').replace(/^\/\/# sourceMappingURL=.*\n?/m, '');
  const own = code.replace(
    /^import \{ (.*) \} from '\.\.\/script\/needs-kvm\.js';$/m,
    `import load from '../load.cjs';\nconst { $1 } = load('${forVitest}.js');`,
  );
  if (own === code) throw new Error(`${name} does not import ${forVitest}`);
  write(`${name}.js`, own);
  write(`${name}.cjs`, `'use strict';\nmodule.exports = require('./vitest.js');\n`);
  write(`${name}.d.cts`, `export * from './vitest.js';\n`);
}

rmSync(dist, { recursive: true, force: true });
mkdirSync(join(dist, 'chunks'), { recursive: true });
const VITEST = 'faces/vitest';
const from = { root, out, faces };
const inParts = faces.filter((face) => face !== VITEST);
const parts = await writeParts({ ...from, faces: inParts });
writeLicenses(root);
writeVitestEntry(VITEST);
for (const name of [...inParts, 'cli/start']) writeEntry(name, parts[`${name}.js`].exports);
write('cli/main.js', readFileSync(join(out, 'cli/main.js'), 'utf8').replace(/^\/\/# sourceMappingURL=.*\n?/m, ''));
// npm links the command to it once, and looks at its mode then.
chmodSync(join(dist, 'cli/main.js'), 0o755);
const files = Object.fromEntries(Object.entries(parts).map(([name, { file }]) => [name, file]));
const loader = readFileSync(join(root, 'tools/bundle/load.cjs'), 'utf8');
const build = createHash('sha256');
for (const file of [...new Set(Object.values(files))].sort()) build.update(readFileSync(join(dist, file)));
const filled = loader
  .replace('const files = {};', `const files = ${JSON.stringify(files)};`)
  .replace("const build = '';", `const build = '${build.digest('hex').slice(0, 32)}';`);
const codeCache = readFileSync(join(root, 'tools/bundle/code-cache.cjs'), 'utf8');
for (const [name, text] of Object.entries({ 'load.cjs': filled, 'code-cache.cjs': codeCache }))
  write(name, (await transform(text, { charset: 'ascii', minifyWhitespace: true })).code);
await writeDeclarations(from);

/** What the lab's kernel is made of; not the mails that tests review. */
const inputs = readdirSync(join(root, 'kernel'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(join(root, 'kernel'), join(entry.parentPath, entry.name)))
  .filter((name) => !name.startsWith('mails/'))
  .sort();
pack(
  join(dist, 'kernel.br'),
  inputs.flatMap((name) => [name, readFileSync(join(root, 'kernel', name), 'utf8')]),
);
await buildTracePage(dist);
