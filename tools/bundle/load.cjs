'use strict';
// Loads the library. Its modules lie in a few parts, packed, and are the same for `import`, for `require`, and inside a lab.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { CodeCache } = require('./code-cache.cjs');

/** By part: the file that holds it. */
const files = {};

/** A digest of all of them. */
const build = '';

/** By part: its code, of those whose file was read. */
const texts = new Map();

/** What a part's code is the body of: a function of these. */
const parameters = ['require', 'exports', 'module', '__filename', 'importModule'];

function textOf(part) {
  const file = files[part];
  if (file === undefined) throw new Error(`${part} is no part of this package`);
  if (!texts.has(part)) {
    const { brotliDecompressSync } = require('node:zlib');
    const words = brotliDecompressSync(readFileSync(join(__dirname, file)))
      .toString('latin1')
      .split('\0');
    for (let at = 0; at < words.length; at += 2) texts.set(words[at], words[at + 1]);
  }
  return texts.get(part);
}

/** A function that loads a part by name, once. Needs nothing from around it: its text goes into the lab as well. */
function partLoader({ bodyOf, fileOf, importOther, importModule }) {
  const loaded = new Map();
  const load = (part) => {
    const before = loaded.get(part);
    if (before !== undefined) return before.exports;
    const module = { exports: {} };
    loaded.set(part, module);
    const require = (name) =>
      name[0] === '.' ? load(new URL(name, `part:/${part}`).pathname.slice(1)) : importOther(name);
    try {
      bodyOf(part)(require, module.exports, module, fileOf(part), importModule);
    } catch (error) {
      loaded.delete(part);
      throw error;
    }
    return module.exports;
  };
  return load;
}

const cache = new CodeCache(build);
const begin = `(function (${parameters}) {`;

module.exports = partLoader({
  bodyOf: (part) => cache.script(part, begin, () => textOf(part), join(__dirname, part)).runInThisContext(),
  fileOf: (part) => join(__dirname, part),
  importOther: require,
  importModule: (url) => import(url),
});
Object.assign(module.exports, { files, textOf, parameters, partLoader });
