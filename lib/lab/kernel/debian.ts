/** What Debian's package database tells. */
import { spawnSync } from 'node:child_process';
import { programEnvironment } from '../../host/programs.ts';

/** True where Debian's package tools are. */
export function isDebian(): boolean {
  return dpkgQuery(['--version']).includes('dpkg-query');
}

/** The version of each of `names` that is installed; of none where there is no dpkg. */
export function installedVersions(names: readonly string[]): Map<string, string> {
  if (names.length === 0) return new Map();
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const query = ['-W', '-f', '${db:Status-Status}\t${Package}\t${Version}\n', ...names];
  // The exit code says that some are unknown; the rest is listed all the same.
  return parseInstalled(dpkgQuery(query));
}

function dpkgQuery(args: readonly string[]): string {
  return spawnSync('dpkg-query', args, { encoding: 'utf8', env: programEnvironment() }).stdout ?? '';
}

/** Reads dpkg-query's lines of status, name and version. */
export function parseInstalled(text: string): Map<string, string> {
  const versions = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [status, name, version] = line.split('\t');
    if (status === 'installed' && name && version) versions.set(name, version);
  }
  return versions;
}
