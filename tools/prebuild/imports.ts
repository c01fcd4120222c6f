// What an addon needs of the libraries of the machine that loads it.
import { spawnSync } from 'node:child_process';

/** The oldest glibc that prebuilds are for: that of RHEL 8, Debian 10 and Node.js 20's own binaries. */
export const oldestGlibc = '2.28';

function run(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed (Debian: binutils): ${error ?? stderr}`);
  return stdout;
}

const newer = (version: string): boolean => version.localeCompare(oldestGlibc, 'en', { numeric: true }) > 0;

/** Each symbol that some machine lacks: of a newer glibc than the oldest, or of libstdc++. */
export function strayImports(addon: string): string[] {
  // Num: Value Size Type Bind Vis Ndx Name. One that is WEAK may be missing.
  const needed = run('readelf', ['--dyn-syms', '--wide', addon])
    .split('\n')
    .flatMap((line) => /\sGLOBAL\s+\S+\s+UND\s+(\S+)/.exec(line)?.[1] ?? [])
    .filter((symbol) => !/^napi_|^node_api_/.test(symbol));
  return needed.filter((symbol) => {
    const version = /@+GLIBC_([\d.]+)$/.exec(symbol)?.[1];
    return version === undefined || newer(version);
  });
}
