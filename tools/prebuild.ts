// npm run prebuild [target...]: builds the addon for each kind of machine that the package has one for, into prebuilds/, where
// node-gyp-build finds it. A target whose compiler or library is missing here is named and left out; with --all that is an error.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { strayImports } from './prebuild/imports.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const host = process.arch === 'x64' ? 'x86_64' : 'aarch64';

interface Target {
  readonly folder: string;
  readonly libc: 'glibc';
  readonly machine: string;
  /** What has to be here, and the package of Debian that has it. */
  readonly asks: readonly (readonly [path: string, of: string])[];
}

const targets: Record<string, Target> = {
  'linux-x64-glibc': { folder: 'linux-x64', libc: 'glibc', machine: 'x86_64', asks: [] },
  'linux-arm64-glibc': {
    folder: 'linux-arm64',
    libc: 'glibc',
    machine: 'aarch64',
    asks: host === 'aarch64' ? [] : [['/usr/bin/aarch64-linux-gnu-g++', 'g++-aarch64-linux-gnu']],
  },
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { all: { type: 'boolean' } } });
for (const name of positionals)
  if (!(name in targets)) fail(`There is no target ${name}: there are ${Object.keys(targets).join(', ')}.`);

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

/** Why a target cannot be built here; undefined if it can. */
function lackOf({ asks }: Target): string | undefined {
  const [lack] = asks.filter(([path]) => !existsSync(path));
  return lack && `${lack[0]} is missing (Debian: ${lack[1]})`;
}

function build(name: string, { folder, libc, machine }: Target): void {
  const out = mkdtempSync(join(tmpdir(), 'kvm-dsm-prebuild-'));
  try {
    const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
    const cross =
      machine === host
        ? []
        : [
            `--CDCMAKE_SYSTEM_NAME=Linux`,
            `--CDCMAKE_SYSTEM_PROCESSOR=${machine}`,
            `--CDCMAKE_CXX_COMPILER=${machine}-linux-gnu-g++`,
          ];
    const given = ['--out', out, `--CDKVM_DSM_PREBUILD=${libc}`, ...cross];
    const jobs = ['--parallel', String(availableParallelism()), '--log-level', 'error'];
    const { status } = spawnSync(process.execPath, [cmakeJs, 'compile', ...given, ...jobs], {
      cwd: root,
      stdio: 'inherit',
    });
    if (status !== 0) fail(`${name} was not built: the compiler's words are above.`);
    const addon = join(out, 'Release/kvm_dsm.node');
    const stray = strayImports(addon);
    if (stray.length > 0) fail(`${name} needs what not every ${libc} has: ${stray.join(', ')}`);
    mkdirSync(join(root, 'prebuilds', folder), { recursive: true });
    const to = join('prebuilds', folder, `kvm-dsm.${libc}.node`);
    copyFileSync(addon, join(root, to));
    console.log(`${to}  ${statSync(addon).size} bytes`);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

const wanted = positionals.length > 0 ? positionals : Object.keys(targets);
for (const name of wanted) {
  const target = targets[name]!;
  const lack = lackOf(target);
  if (lack === undefined) build(name, target);
  else if (values.all || positionals.length > 0) fail(`${name} cannot be built here: ${lack}.`);
  else console.error(`${name} is left out: ${lack}.`);
}
