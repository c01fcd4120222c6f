/** The programs that a kernel's image depends on: another version may make another image of the same source. */
import { spawnSync } from 'node:child_process';
import { programEnvironment } from '../../host/programs.ts';

const names = ['gcc', 'ld', 'lz4'];

/** The first line that each tells of its version; `none` of what is not here. */
export function toolVersions(): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, versionOf(name)]));
}

function versionOf(name: string): string {
  const { stdout, stderr } = spawnSync(name, ['--version'], { encoding: 'utf8', env: programEnvironment() });
  return `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n')[0]!.trim() || 'none';
}
