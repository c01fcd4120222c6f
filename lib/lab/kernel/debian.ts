/** Debian's packages: which are installed, and installing them. */
import { spawnSync } from 'node:child_process';
import { geteuid } from 'node:process';
import { programEnvironment } from '../../host/programs.ts';
import { LabPackagesError } from '../errors.ts';
import { runBound } from '../process.ts';

/** True where Debian's package tools are. */
export function isDebian(): boolean {
  return spawnSync('dpkg-query', ['--version'], { stdio: 'ignore', env: programEnvironment() }).status === 0;
}

/** The names of those of `names` that are not installed, in the given order. */
export function missingPackages(names: readonly string[]): string[] {
  const installed = installedVersions(names);
  return names.filter((name) => !installed.has(name));
}

/** The version of each of `names` that is installed. */
export function installedVersions(names: readonly string[]): Map<string, string> {
  if (names.length === 0) return new Map();
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const query = ['-W', '-f', '${db:Status-Status}\t${Package}\t${Version}\n', ...names];
  // The exit code says that some are unknown; the rest is listed all the same.
  const answer = spawnSync('dpkg-query', query, { encoding: 'utf8', env: programEnvironment() });
  return parseInstalled(answer.stdout ?? '');
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

/** The one command that installs `names`, for a person to run. */
export function installCommand(names: readonly string[]): string {
  return `sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends ${names.join(' ')}'`;
}

/** Throws a LabPackagesError, whose message holds the one command to run, if `names` has any. */
export function refuseMissing(names: readonly string[]): void {
  if (names.length === 0) return;
  const list = names.join(' ');
  if (!isDebian()) {
    throw new LabPackagesError(`this is no Debian system, and these Debian packages are needed: ${list}`, names, {
      advice: 'Install what they hold by other means, or run on Debian 12 or newer.',
    });
  }
  const message = `Debian packages are missing: ${list}. Install them with:\n  ${installCommand(names)}`;
  throw new LabPackagesError(message, names, {
    advice: 'Run that command, or `npx kvm-dsm lab build` as root; then this one again.',
  });
}

/**
 * Installs `names` with apt-get when this process may do so.
 *
 * Throws a LabPackagesError whose message holds the one command to run otherwise.
 */
export async function installPackages(
  names: readonly string[],
  report: (line: string) => void,
  abort?: AbortSignal,
): Promise<void> {
  if (names.length === 0) return;
  if (geteuid?.() !== 0 || !isDebian()) refuseMissing(names);
  const list = names.join(' ');
  report(`installing ${list}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, abort, onLine: (line: string) => /^(Unpacking|Setting up) /.test(line) && report(line) };
  // A machine whose package lists are old may still have what is needed: only the install decides.
  const update = await runBound('apt-get', ['update'], options);
  const install = await runBound('apt-get', ['install', '-y', '--no-install-recommends', ...names], options);
  const missing = missingPackages(names);
  if (install.code !== 0 || missing.length > 0) {
    const said = `${update.code === 0 ? '' : update.output}${install.output}`.trim().split('\n').slice(-10).join('\n');
    throw new LabPackagesError(`apt-get could not install ${missing.join(' ') || list}:\n${said}`, names, {
      advice: `Try it by hand: ${installCommand(names)}`,
    });
  }
}
