// Builds the addon of a checkout. A bare Debian machine gets the compiler that it lacks, if we are root: `npm ci` is
// then all the set-up there is. Elsewhere the packages are named. A package with a prebuild never comes here.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';

/** Each tool that the build calls. */
const missing = ['cmake', 'make', 'c++'].filter((tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error);

if (missing.length > 0) {
  console.error(`The addon's build needs ${missing.join(', ')}.`);
  // Of the library, which `npm run build` builds before; where nothing is missing nothing of it is needed.
  const [{ installLacking }, { addonNeeds }] = await Promise.all([
    import('../out/lab/needs/install.js'),
    import('../out/lab/needs/addon.js'),
  ]);
  try {
    await installLacking(addonNeeds, (line) => console.error(line));
  } catch (error) {
    console.error(`${error.message}\n${error.advice ?? ''}`);
    process.exit(3);
  }
}

console.error('Compiling the addon: half a minute or less.');
const jobs = String(availableParallelism());
const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
const { status } = spawnSync(process.execPath, [cmakeJs, 'compile', '--log-level', 'error', '--parallel', jobs], {
  stdio: 'inherit',
});
process.exit(status ?? 1);
