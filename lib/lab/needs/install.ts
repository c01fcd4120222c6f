/** What is missing on this machine: told with the packages that have it, or installed. */
import { geteuid } from 'node:process';
import { findProgram } from '../../host/programs.ts';
import { LabPackagesError } from '../errors.ts';
import { installedVersions, isDebian } from '../kernel/debian.ts';
import { runBound } from '../process.ts';
import { type Distribution, installCommand, isAptFamily, packagesIn, thisDistribution } from './distribution.ts';
import { type LabNeed, lackingOf } from './need.ts';

/** What lacks, in the words of a distribution. */
export interface Lacking {
  /** Packages that have it. */
  packages: string[];
  /** What no package of the distribution is known for. */
  rest: string[];
  /** Installs the packages; null if there are none. */
  command: string | null;
}

/** Which packages have what is missing. */
export function packagesFor(needs: readonly LabNeed[], { family }: Distribution = thisDistribution()): Lacking {
  const named = needs.flatMap(({ packages }) => packagesIn(family, packages));
  const rest = needs.filter(({ packages }) => packagesIn(family, packages).length === 0);
  const all = [...new Set(named)];
  const installed = isAptFamily(family) ? installedVersions(all) : new Map<string, string>();
  // Something may be missing of a package that is installed: then it is named all the same.
  const absent = all.filter((name) => !installed.has(name));
  const packages = absent.length > 0 ? absent : all;
  const command = family === undefined || packages.length === 0 ? null : installCommand(family, packages);
  return { packages, rest: rest.map(({ name }) => name), command };
}

/** Throws a LabPackagesError, whose message holds the one command to run, if this machine lacks any of `needs`. */
export function refuseLacking(needs: readonly LabNeed[]): void {
  const lacking = lackingOf(needs);
  if (lacking.length > 0) throw refusal(lacking);
}

function refusal(lacking: readonly LabNeed[]): LabPackagesError {
  const distribution = thisDistribution();
  const { packages, rest, command } = packagesFor(lacking, distribution);
  const parts: string[] = [];
  if (command !== null)
    parts.push(`${distribution.title} packages are missing: ${packages.join(' ')}. Install them with:\n  ${command}`);
  if (rest.length > 0)
    parts.push(`this machine lacks, and no package of ${distribution.title} is known to have: ${rest.join('; ')}`);
  const advice: string[] = [];
  const asRoot = isAptFamily(distribution.family) ? ', or `npx kvm-dsm lab build` as root' : '';
  if (command !== null) advice.push(`Run that command${asRoot}; then this one again.`);
  if (rest.length > 0)
    advice.push('What no package has: put it where PATH finds it; an emulator of yours is given by --emulator.');
  return new LabPackagesError(parts.join('\n'), [...packages, ...rest], { advice: advice.join(' ') });
}

/** True where this process may install packages: apt-get, as root. */
function mayInstall(): boolean {
  const isApt = isAptFamily(thisDistribution().family) && isDebian() && findProgram('apt-get') !== undefined;
  return geteuid?.() === 0 && isApt;
}

/**
 * Installs what this machine lacks of `needs` with apt-get, when this process may do so.
 *
 * Throws a LabPackagesError whose message holds the one command to run otherwise.
 */
export async function installLacking(
  needs: readonly LabNeed[],
  report: (line: string) => void,
  abort?: AbortSignal,
): Promise<void> {
  const lacking = lackingOf(needs);
  if (lacking.length === 0) return;
  const { packages, rest, command } = packagesFor(lacking);
  if (!mayInstall() || rest.length > 0) throw refusal(lacking);
  report(`installing ${packages.join(' ')}: a minute or less, by the network`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, abort, onLine: (line: string) => /^(Unpacking|Setting up) /.test(line) && report(line) };
  // A machine whose package lists are old may still have what is needed: only the install decides.
  const update = await runBound('apt-get', ['update'], options);
  const install = await runBound('apt-get', ['install', '-y', '--no-install-recommends', ...packages], options);
  const missing = lackingOf(lacking);
  if (install.code !== 0 || missing.length > 0) {
    const said = `${update.code === 0 ? '' : update.output}${install.output}`.trim().split('\n').slice(-10).join('\n');
    const names = missing.map(({ name }) => name).join('; ') || packages.join(' ');
    throw new LabPackagesError(`apt-get could not install ${names}:\n${said}`, packages, {
      advice: `Try it by hand: ${command}`,
    });
  }
}
