// npm run prebuilds [target...]: has prebuildify build the addon for each kind of machine that the package has one for, into prebuilds/, where
// node-gyp-build finds it. A target whose compiler or library is missing here is named and left out; with --all that is an error.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
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
  // Not in the checkout's own build, which is for this machine.
  const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-prebuild-'));
  try {
    const cross =
      machine === host
        ? []
        : [
            '--CDCMAKE_SYSTEM_NAME=Linux',
            `--CDCMAKE_SYSTEM_PROCESSOR=${machine}`,
            `--CDCMAKE_CXX_COMPILER=${machine}-linux-gnu-g++`,
          ];
    const prebuildify = createRequire(import.meta.url).resolve('prebuildify/bin.js');
    const place = ['--platform', 'linux', '--arch', folder.replace('linux-', ''), '--cwd', work, '--out', root];
    const how = ['--napi', '--tag-libc', '--name', 'kvm-dsm', '--node-gyp', join(root, 'tools/prebuild/cmake.mjs')];
    const { status } = spawnSync(process.execPath, [prebuildify, ...place, ...how], {
      env: {
        ...process.env,
        PREBUILD_LIBC: libc,
        KVM_DSM_CMAKE: JSON.stringify([`--CDKVM_DSM_PREBUILD=${libc}`, ...cross]),
      },
      stdio: 'inherit',
    });
    if (status !== 0) fail(`${name} was not built: the compiler's words are above.`);
    const to = join('prebuilds', folder, `kvm-dsm.${libc}.node`);
    const stray = strayImports(join(root, to));
    if (stray.length > 0) {
      rmSync(join(root, to));
      fail(`${name} needs what not every ${libc} has: ${stray.join(', ')}`);
    }
    console.log(`${to}  ${statSync(join(root, to)).size} bytes`);
  } finally {
    rmSync(work, { recursive: true, force: true });
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
