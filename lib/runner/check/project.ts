/** The project that a script is checked in: its own options, or those that `kvm-dsm init` gives, and the script alone. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../base/package.ts';
import { resolveFrom } from './typescript.ts';

/** What a script's project has if it says nothing: what runs, and no more than that. */
const usual = {
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  module: 'preserve',
  moduleDetection: 'force',
  strict: true,
};

/** What would write files, or refuse a file for its place. */
const checkAlone = {
  noEmit: true,
  composite: false,
  incremental: false,
  declaration: false,
  declarationMap: false,
  emitDeclarationOnly: false,
  allowImportingTsExtensions: true,
  skipLibCheck: true,
  rootDir: '/',
};

/** The contents of a tsconfig.json, wherever it is to lie. */
export function projectOf(scripts: readonly string[], folder: string): object {
  const own = nearestAbove(folder, 'tsconfig.json');
  const types = foldersAbove(folder)
    .map((above) => join(above, 'node_modules/@types'))
    .filter((path) => existsSync(path));
  // TypeScript looks for them around the file that says so, which is another one here.
  const typeRoots = own !== null && readFileSync(own, 'utf8').includes('"typeRoots"') ? {} : { typeRoots: types };
  const base =
    own === null ? { ...usual, types: types.some((path) => existsSync(join(path, 'node'))) ? ['node'] : [] } : {};
  const hasJavascript = scripts.some((path) => /\.[cm]?js$/.test(path));
  return {
    ...(own !== null && { extends: own }),
    files: scripts,
    include: [],
    compilerOptions: {
      ...base,
      ...typeRoots,
      ...checkAlone,
      ...(hasJavascript && { allowJs: true }),
      ...ownPackage(folder),
    },
  };
}

/** `import 'kvm-dsm'` means the package whose command runs, where the script has none of its own. */
function ownPackage(folder: string): object {
  if (resolveFrom(folder, 'kvm-dsm/package.json') !== null) return {};
  const types = join(packageRoot, 'dist');
  return { paths: { 'kvm-dsm': [join(types, 'index.d.ts')], 'kvm-dsm/*': [join(types, 'faces/*.d.ts')] } };
}

function nearestAbove(folder: string, name: string): string | null {
  return (
    foldersAbove(folder)
      .map((above) => join(above, name))
      .find((path) => existsSync(path)) ?? null
  );
}

/** The folder and those that it lies in, the nearest first. */
function foldersAbove(folder: string): string[] {
  const above = dirname(folder);
  return above === folder ? [folder] : [folder, ...foldersAbove(above)];
}
