// Builds the addon of a checkout. A bare Debian machine gets the compiler that it lacks, if we are root: `npm ci` is
// then all the set-up there is. A package with a prebuild never comes here.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

/** Each tool that the build calls, and the Debian package that has it. */
const tools = { cmake: 'cmake', make: 'make', 'c++': 'g++' };
const missing = Object.keys(tools).filter((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error);

if (missing.length > 0) {
  const packages = missing.map((tool) => tools[tool]);
  console.error(`The addon's build needs ${missing.join(', ')}.`);
  // Of the library, which `npm run build` builds before; where nothing is missing nothing of it is needed.
  const { installPackages, isDebian, missingPackages } = await import('../out/lab/kernel/debian.js');
  try {
    await installPackages(isDebian() ? missingPackages(packages) : packages, (line) => console.error(line));
  } catch (error) {
    console.error(`${error.message}\n${error.advice ?? ''}`);
    process.exit(3);
  }
}

const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
const { status } = spawnSync(process.execPath, [cmakeJs, 'compile', '--log-level', 'error'], { stdio: 'inherit' });
process.exit(status ?? 1);
