/** The Linux distribution of this machine: what its packages are called, and how they are installed. */
import { readFileSync } from 'node:fs';
import { geteuid } from 'node:process';

/** Distributions whose packages have the same names. */
export type Family = 'debian' | 'ubuntu' | 'fedora' | 'rhel' | 'arch' | 'alpine' | 'suse';

/** The packages that have a thing, by family. A family that is not there has no package of it; Ubuntu has Debian's. */
export type Packages = Readonly<Partial<Record<Family, readonly string[]>>>;

/** The packages of a family that have a thing; none if there is none. */
export function packagesIn(family: Family | undefined, packages: Packages): readonly string[] {
  if (family === undefined) return [];
  return packages[family] ?? (family === 'ubuntu' ? packages.debian : undefined) ?? [];
}

/** A package that has the same name everywhere, but for some. */
export const everywhere = (name: string, but: Packages = {}): Packages => ({
  debian: [name],
  fedora: [name],
  rhel: [name],
  arch: [name],
  alpine: [name],
  suse: [name],
  ...but,
});

/** What Fedora and Red Hat Enterprise Linux call the same. */
export const redHat = (...names: string[]): Packages => ({ fedora: names, rhel: names });

/** Installed by apt. */
export const isAptFamily = (family: Family | undefined) => family === 'debian' || family === 'ubuntu';

/** This machine's distribution. */
export interface Distribution {
  /** As it calls itself, such as `Fedora Linux`. */
  title: string;
  /** undefined: one whose packages are not known here. */
  family: Family | undefined;
}

/** By ID of os-release; also what a derivative names in ID_LIKE. The first that fits counts. */
const families: readonly (readonly [Family, readonly string[]])[] = [
  ['ubuntu', ['ubuntu']],
  ['debian', ['debian']],
  // Whose ID_LIKE has fedora as well.
  ['rhel', ['rhel', 'centos', 'rocky', 'almalinux', 'ol']],
  ['fedora', ['fedora']],
  ['arch', ['arch']],
  ['alpine', ['alpine']],
  ['suse', ['suse', 'opensuse', 'opensuse-tumbleweed', 'opensuse-leap', 'sles']],
];

/** The distribution of this machine, by os-release(5). */
export function thisDistribution(files = ['/etc/os-release', '/usr/lib/os-release']): Distribution {
  for (const file of files) {
    try {
      return readOsRelease(readFileSync(file, 'utf8'));
    } catch {
      // The next one; a machine may have neither.
    }
  }
  return { title: 'this Linux', family: undefined };
}

/** Reads the text of os-release(5). */
export function readOsRelease(text: string): Distribution {
  const value = (name: string) =>
    new RegExp(`^${name}=(["']?)(.*)\\1\\s*$`, 'm').exec(text)?.[2]?.replace(/\\(.)/g, '$1') ?? '';
  const ids = [value('ID'), ...value('ID_LIKE').split(/\s+/)];
  // What a distribution is like stands in the order of likeness.
  const family = ids.flatMap((id) => families.filter(([, names]) => names.includes(id)).map(([name]) => name))[0];
  return { title: value('NAME').replace(/ GNU\/Linux$/, '') || ids[0] || 'this Linux', family };
}

const commands: Readonly<Record<Family, string>> = {
  debian: 'apt-get install -y --no-install-recommends',
  ubuntu: 'apt-get install -y --no-install-recommends',
  fedora: 'dnf install -y',
  rhel: 'dnf install -y',
  arch: 'pacman -S --needed --noconfirm',
  alpine: 'apk add',
  suse: 'zypper --non-interactive install',
};

/** The one command that installs `names`, for a person to run. */
export function installCommand(family: Family, names: readonly string[]): string {
  const sudo = geteuid?.() === 0 ? '' : 'sudo ';
  const install = `${commands[family]} ${names.join(' ')}`;
  return isAptFamily(family) ? `${sudo}sh -c 'apt-get update && ${install}'` : `${sudo}${install}`;
}
