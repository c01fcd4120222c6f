/** The parts of esbuild's work that make a script what `kvm-dsm run` evaluates. */
import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { dirname, extname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Loader, Plugin } from 'esbuild';
import { exportsText } from '../../base/exports-text.ts';
import { MODULES } from '../evaluate/script-function.ts';

/** What each module of a script calls what it knows of itself. */
const META = '__kvmDsmMeta';

/** Where a module asks for its own place. */
export const placeDefines = {
  'import.meta': META,
  __dirname: `${META}.dirname`,
  __filename: `${META}.filename`,
};

/** The specifier of the script itself. */
export const SCRIPT = 'kvm-dsm:script';

/** The script at `path`: whatever its package says of side effects, it is to run. */
export function scriptItself(path: string): Plugin {
  return {
    name: 'script',
    setup({ onResolve }) {
      onResolve({ filter: new RegExp(`^${SCRIPT}$`) }, () => ({ path, sideEffects: true }));
    },
  };
}

/**
 * `import 'kvm-dsm'` means this very package, wherever the script lies: its public modules are handed in.
 *
 * @param modules what stands in such an `import`
 * @param exportsOf what the module of that name exports
 */
export function thisPackage(modules: readonly string[], exportsOf: (module: string) => Promise<string[]>): Plugin {
  return {
    name: 'this-package',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^kvm-dsm(?:\/|$)/ }, ({ path }) =>
        modules.includes(path) ? { path, namespace: 'this-package' } : undefined,
      );
      onLoad({ filter: /.*/, namespace: 'this-package' }, async ({ path }) => ({
        contents: exportsText(await exportsOf(path), `${MODULES}[${JSON.stringify(path)}]`),
      }));
    },
  };
}

const builtins = new Set(builtinModules);

/** Node's own modules come by `require`, since a function cannot hold an `import`. Calls `onUse` with each name. */
export function nodeModules(onUse: (name: string) => void): Plugin {
  return {
    name: 'node-modules',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^[^./]/ }, ({ path, namespace }) => {
        if (!path.startsWith('node:') && !builtins.has(path)) return undefined;
        if (namespace === 'node-modules') return { path, external: true };
        onUse(path);
        return { path, namespace: 'node-modules' };
      });
      onLoad({ filter: /.*/, namespace: 'node-modules' }, ({ path }) => ({
        contents: `module.exports = require(${JSON.stringify(path)});`,
      }));
    },
  };
}

/** The three ways to name a file beside a module by words that are known before it runs. */
const byUrl = /new\s+URL\(\s*(['"`])([^'"`$\n]+)\1\s*,\s*import\.meta\.url\s*,?\s*\)/g;
const byJoin =
  /(?:join|resolve)\(\s*(?:import\.meta\.dirname|__dirname)\s*((?:,\s*(?:'[^'\n]*'|"[^"\n]*")\s*)+),?\s*\)/g;
const byTemplate = /`\$\{\s*(?:import\.meta\.dirname|__dirname)\s*\}\/([^`$\n]+)`/g;

/**
 * Tells modules where they are, and finds the files beside them that they name.
 *
 * @param root the folder that stands for / where the script will run
 * @param assets takes the files' paths here
 */
export function modulePlaces(root: string, assets: Set<string>): Plugin {
  return {
    name: 'module-places',
    setup({ onLoad }) {
      onLoad({ filter: /\.[cm]?[jt]sx?$/ }, async ({ path, namespace }) => {
        if (namespace !== 'file') return undefined;
        const text = await readFile(path, 'utf8');
        if (!/\bimport\.meta\b|\b__dirname\b|\b__filename\b/.test(text)) return undefined;
        const named = filesNamedIn(text, path);
        for (const file of named) assets.add(file);
        const filename = `${root}${path}`;
        const place = { url: pathToFileURL(filename).href, filename, dirname: dirname(filename) };
        // On the first line, so that every other line keeps its number.
        const words = `const ${META} = ${JSON.stringify(place)}; `;
        return {
          contents: text.replace(/^(?:#!.*\n)?/, (hashbang) => hashbang + words),
          loader: extname(path).replace(/^\.[cm]?/, '') as Loader,
          watchFiles: named,
        };
      });
    },
  };
}

function filesNamedIn(text: string, path: string): string[] {
  const named: string[] = [];
  for (const [, , word] of text.matchAll(byUrl)) {
    const url = new URL(word!, pathToFileURL(path));
    if (url.protocol === 'file:') named.push(fileURLToPath(url));
  }
  for (const [, words] of text.matchAll(byJoin)) {
    const parts = [...words!.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, single, double]) => single ?? double!);
    named.push(resolve(dirname(path), ...parts));
  }
  for (const [, word] of text.matchAll(byTemplate)) named.push(resolve(dirname(path), word!));
  return named.filter((file) => existsSync(file) && statSync(file).isFile());
}
