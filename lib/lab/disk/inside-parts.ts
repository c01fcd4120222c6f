/** The command and the public modules for the inside of a lab, of a built package: its parts as they are, in one CommonJS file. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { codeDir, packageRoot } from '../../base/package.ts';
import { packageInside } from './init.ts';
import { lazyBuiltins } from './inside-bundle.ts';
import { outside, slowBuiltins } from './inside-only.ts';

/** dist/load.cjs: see tools/bundle/load.cjs. */
interface PartLoader {
  /** By part: the file that holds it. */
  readonly files: Readonly<Record<string, string>>;
  /** What a part's code is the body of: a function of these. */
  readonly parameters: readonly string[];
  textOf(part: string): string;
  partLoader(of: object): (part: string) => unknown;
}

/** Inside a lab there is no lab. */
const left = /^chunks\/(?:lab|review)\d*\.js$/;

/** Another package that a part needs before it can do anything. */
const otherPackage = /\brequire\("((?!node:)[^."][^"]*)"\)/g;

/** By name: functions that load these packages, bundled. */
async function otherPackages(names: readonly string[]): Promise<string> {
  const { build } = await import('esbuild');
  const loads = names.map((name) => `${JSON.stringify(name)}: () => require(${JSON.stringify(name)})`);
  const { outputFiles } = await build({
    stdin: { contents: `module.exports = { ${loads.join(', ')} };`, resolveDir: packageRoot },
    write: false,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    charset: 'ascii',
    minifyWhitespace: true,
    logLevel: 'silent',
    plugins: [lazyBuiltins],
  });
  return outputFiles[0]!.text;
}

/** Its bodies stay functions: V8 reads what is in them when they are called. */
export async function joinPartsForInside(): Promise<string> {
  const require = createRequire(import.meta.url);
  const loader = require(join(codeDir, 'load.cjs')) as PartLoader;
  const parts = Object.keys(loader.files).filter((part) => !left.test(part));
  const others = new Set(
    parts.flatMap((part) => [...loader.textOf(part).matchAll(otherPackage)].map(([, name]) => name!)),
  );
  const bodies = parts.map(
    (part) => `${JSON.stringify(part)}: function (${loader.parameters}) {${loader.textOf(part)}\n}`,
  );
  const slow = slowBuiltins.map((name) => [name, Object.keys(require(name))]);
  return `(function (require, module, importModule) {
const bodies = {
${bodies.join(',\n')}
};
const others = ((module) => {${await otherPackages([...others])}\nreturn module.exports; })({});
const slow = Object.fromEntries(${JSON.stringify(slow)}.map(([name, keys]) => [name, lazy(name, keys)]));
function lazy(name, keys) {
  const get = (key) => ({ enumerable: true, get: () => require(name)[key] });
  return Object.defineProperties({}, Object.fromEntries(keys.map((key) => [key, get(key)])));
}
const refuse = () => { throw new Error('${outside}'); };
const lab = new Proxy({}, { get: () => refuse });
const load = (${loader.partLoader})({
  bodyOf: (part) => bodies[part] ?? ((require, exports, module) => { module.exports = lab; }),
  fileOf: (part) => ${JSON.stringify(`${packageInside}/dist/`)} + part,
  importOther: (name) => slow[name] ?? others[name]?.() ?? require(name),
  importModule,
});
module.exports = load('cli/lab-entry.js');
})`;
}
