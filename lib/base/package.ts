/** Where this package lies. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** True when this code runs from the checkout's TypeScript sources instead of dist. */
export const runsFromSource = import.meta.url.endsWith('.ts');

/** This package's folder: the nearest one above this code that has a package.json. How deep the code lies is the bundler's affair. */
export const packageRoot = nearestPackage(dirname(fileURLToPath(import.meta.url)));

/** The folder of this code: its `index.js` and `faces` are what programs import. */
export const codeDir = join(packageRoot, runsFromSource ? 'lib' : 'dist');

function nearestPackage(dir: string): string {
  if (existsSync(join(dir, 'package.json')) || dir === dirname(dir)) return dir;
  return nearestPackage(dirname(dir));
}
