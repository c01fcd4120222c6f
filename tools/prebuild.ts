// npm run prebuilds [target...]: has prebuildify build the addon for each kind of machine that the package has one for, into prebuilds/, where
// node-gyp-build finds it. A target whose compiler is missing here is named and left out; named itself, or with --all, it is an error. zig, which
// has musl and a C++ library for it, is then fetched by npm.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Libc, strayImports } from './prebuild/imports.ts';
import { fetchedZig, installedZig } from './prebuild/zig.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

type Arch = 'x64' | 'arm64';
const machines: Record<Arch, string> = { x64: 'x86_64', arm64: 'aarch64' };

interface Target {
  readonly arch: Arch;
  readonly libc: Libc;
}

const targets: Record<string, Target> = {
  'linux-x64-glibc': { arch: 'x64', libc: 'glibc' },
  'linux-x64-musl': { arch: 'x64', libc: 'musl' },
  'linux-arm64-glibc': { arch: 'arm64', libc: 'glibc' },
  'linux-arm64-musl': { arch: 'arm64', libc: 'musl' },
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { all: { type: 'boolean' } } });
for (const name of positionals)
  if (!(name in targets)) fail(`There is no target ${name}: there are ${Object.keys(targets).join(', ')}.`);

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

/** A C++ compiler for that machine, `null`: the one that CMake takes by itself; or why there is none here. */
type Compiler = { readonly command: string | null } | { readonly lack: string };

function gccFor(arch: Arch): Compiler {
  if (arch === process.arch) return { command: null };
  const command = `/usr/bin/${machines[arch]}-linux-gnu-g++`;
  const lack = `${command} is missing (Debian: g++-${machines[arch].replace('_', '-')}-linux-gnu)`;
  return existsSync(command) ? { command } : { lack };
}

/** @param work where the command is put that names the target to zig */
function zigFor(arch: Arch, work: string, insists: boolean): Compiler {
  const zig = installedZig() ?? (insists ? fetchedZig() : undefined);
  if (zig === undefined) return { lack: 'zig is not in the PATH; with --all it is fetched' };
  const command = join(work, 'zig-c++');
  writeFileSync(command, `#!/bin/sh\nexec '${zig}' c++ -target ${machines[arch]}-linux-musl "$@"\n`);
  chmodSync(command, 0o755);
  return { command };
}

function build(name: string, { arch, libc }: Target, insists: boolean): void {
  // Not in the checkout's own build, which is for this machine.
  const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-prebuild-'));
  try {
    const compiler = libc === 'musl' ? zigFor(arch, work, insists) : gccFor(arch);
    if ('lack' in compiler) {
      if (insists) fail(`${name} cannot be built here: ${compiler.lack}.`);
      console.error(`${name} is left out: ${compiler.lack}.`);
      return;
    }
    const isCross = libc === 'musl' || arch !== process.arch;
    const cmake = [
      `--CDKVM_DSM_PREBUILD=${libc}`,
      ...(compiler.command === null ? [] : [`--CDCMAKE_CXX_COMPILER=${compiler.command}`]),
      ...(isCross ? ['--CDCMAKE_SYSTEM_NAME=Linux', `--CDCMAKE_SYSTEM_PROCESSOR=${machines[arch]}`] : []),
    ];
    const prebuildify = createRequire(import.meta.url).resolve('prebuildify/bin.js');
    const place = ['--platform', 'linux', '--arch', arch, '--cwd', work, '--out', root];
    const how = ['--napi', '--tag-libc', '--name', 'kvm-dsm', '--node-gyp', join(root, 'tools/prebuild/cmake.mjs')];
    const { status } = spawnSync(process.execPath, [prebuildify, ...place, ...how], {
      env: { ...process.env, PREBUILD_LIBC: libc, KVM_DSM_CMAKE: JSON.stringify(cmake) },
      stdio: 'inherit',
    });
    if (status !== 0) fail(`${name} was not built: the compiler's words are above.`);
    const to = join('prebuilds', `linux-${arch}`, `kvm-dsm.${libc}.node`);
    const stray = strayImports(join(root, to), libc);
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
for (const name of wanted) build(name, targets[name]!, values.all === true || positionals.length > 0);
