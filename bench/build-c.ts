// Builds the C programs of the benchmarks into the user's cache folder.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kvm-dsm', 'bench');

const filesOf = (folder: string) =>
  readdirSync(join(here, folder))
    .filter((name) => /\.[ch]$/.test(name))
    .map((name) => join(here, folder, name));

/** Path of a file that the compiler made of these sources, now or earlier. */
function built(name: string, sources: readonly string[], flags: readonly string[]): string {
  const hash = createHash('sha256').update(flags.join(' '));
  for (const file of [...filesOf('c'), ...filesOf('overhead'), ...filesOf('nodes')]) hash.update(readFileSync(file));
  const path = join(cache, `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  const partial = `${path}.${process.pid}`;
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', ...flags, '-o', partial, ...sources], { stdio: 'inherit' });
  renameSync(partial, path);
  return path;
}

const sources = () => filesOf('c').filter((name) => name.endsWith('.c'));

/** The C side, for a machine that has nothing but it: without libraries. */
export const staticReference = () => built('reference-static', sources(), ['-pthread', '-static']);

/** The C side, whose calls the shim can answer. */
export const reference = () => built('reference', sources(), ['-pthread']);

/** Two VMs in one process, joined by hand, for a machine that has nothing but it: bench/nodes/relay.c. */
export const staticRelay = () =>
  built('relay-static', [join(here, 'nodes/relay.c'), join(here, 'c/vm.c')], ['-pthread', '-static']);

/** The library that answers KVM_RUN: bench/overhead/shim.c. */
export const shim = () => built('shim.so', [join(here, 'overhead/shim.c')], ['-shared', '-fPIC']);
