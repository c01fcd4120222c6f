// A file of the benchmarks as one file of JavaScript, which takes the package from the folder that is named.

import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

/** @param packageRoot where the package lies for whoever runs it */
export function bundle(entry: string, packageRoot: string): string {
  const { outputFiles } = buildSync({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    // Packages that are no modules ask for node's own by this.
    banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
    alias: { 'kvm-dsm': `${packageRoot}/dist/index.js` },
    external: [`${packageRoot}/dist/*`],
  });
  return outputFiles[0]!.text;
}
