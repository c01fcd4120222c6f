// What an addon needs of the libraries of the machine that loads it.
import { spawnSync } from 'node:child_process';

export type Libc = 'glibc' | 'musl';

/** The oldest glibc that prebuilds are for: that of RHEL 8, Debian 10 and Node.js 20's own binaries. */
export const oldestGlibc = '2.28';

export function readelf(...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('readelf', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`readelf ${args.join(' ')} failed (Debian: binutils): ${error ?? stderr}`);
  return stdout;
}

const newer = (version: string): boolean => version.localeCompare(oldestGlibc, 'en', { numeric: true }) > 0;

/**
 * What some machine with that C library lacks. glibc: a symbol of a newer version than the oldest, or of libstdc++. musl, whose symbols have no
 * versions: a library beside it, a symbol of a C++ library, and thread-local variables that only a program's own libraries may have.
 */
export function strayImports(addon: string, libc: Libc): string[] {
  // Num: Value Size Type Bind Vis Ndx Name. One that is WEAK may be missing.
  const needed = readelf('--dyn-syms', '--wide', addon)
    .split('\n')
    .flatMap((line) => /\sGLOBAL\s+\S+\s+UND\s+(\S+)/.exec(line)?.[1] ?? [])
    .filter((symbol) => !/^napi_|^node_api_/.test(symbol));
  if (libc === 'glibc')
    return needed.filter((symbol) => {
      const version = /@+GLIBC_([\d.]+)$/.exec(symbol)?.[1];
      return version === undefined || newer(version);
    });
  const dynamic = readelf('--dynamic', '--wide', addon);
  const libraries = [...dynamic.matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name!);
  return [
    ...libraries.filter((name) => name !== 'libc.so'),
    ...needed.filter((symbol) => /^_Z|^_Unwind|^__cxa_(?!atexit$)/.test(symbol)),
    ...(/\bSTATIC_TLS\b/.test(dynamic) ? ['STATIC_TLS'] : []),
  ];
}
