// Packages whose code is put into the parts: whoever installs kvm-dsm need not have them.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/** By name: what is exported of it. */
const bundled = { 'ansi-escapes': ['*', '{ default }'], '@bufbuild/protobuf/wire': ['*'] };

export const isBundled = (name) => Object.hasOwn(bundled, name);

/** The package that a module of the parts is; `null`: it is none of them. */
export const bundledName = (id) => (id[0] === '\0' && isBundled(id.slice(1)) ? id.slice(1) : null);

/** A package's folder, of a file in it. */
const inModules = /^.*\/?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;

/** Those whose code has been put there. */
const folders = new Set();

/** Makes one small module of such a package. Its code is nobody's here to read; its license stands beside it. */
export const thirdParty = (root) => ({
  name: 'third-party',
  resolveId: (id) => (isBundled(id) ? `\0${id}` : null),
  async load(id) {
    const name = bundledName(id);
    if (name === null) return null;
    const { outputFiles, metafile } = await build({
      stdin: { contents: bundled[name].map((what) => `export ${what} from '${name}';`).join('\n'), resolveDir: root },
      ...{ bundle: true, write: false, minify: true, metafile: true, legalComments: 'none' },
      ...{ format: 'esm', platform: 'node', target: 'node20' },
    });
    for (const file of Object.keys(metafile.inputs)) {
      const folder = inModules.exec(file)?.[0];
      if (folder !== undefined) folders.add(folder);
    }
    return outputFiles[0].text;
  },
});

/** Writes their licenses into dist, when the parts are made. */
export function writeLicenses(root) {
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const file = readdirSync(join(root, folder)).find((one) => /^licen[cs]e/i.test(one));
    // One that names its license has no text of it to give.
    const text = file === undefined ? license : readFileSync(join(root, folder, file), 'utf8').trim();
    return `${name} ${version}\n\n${text}\n`;
  });
  writeFileSync(join(root, 'dist/licenses.txt'), texts.join('\n----\n\n'));
}
