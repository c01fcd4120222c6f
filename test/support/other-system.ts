/** This machine as if it were another distribution's: some of its files are hidden or are others, in a mount namespace of its own. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const home = mkdtempSync(join(tmpdir(), 'kvm-dsm-other-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));
// For tests that run their command as another user.
chmodSync(home, 0o755);

const empty = { file: join(home, 'nothing'), folder: join(home, 'no-files') };
writeFileSync(empty.file, '', { mode: 0o644 });
mkdirSync(empty.folder);

const namespaces = [
  ['unshare', '--mount'],
  ['unshare', '--mount', '--map-root-user'],
];
const namespace = namespaces.find(
  ([command, ...args]) =>
    spawnSync(command!, [...args, 'mount', '--bind', empty.file, join(home, 'nothing')]).status === 0,
);

/** Why there can be no such system here; false if there can. */
export const noOtherSystem = namespace === undefined && 'nothing can be mounted here, not even in a namespace';

/** What the distributions say of themselves in os-release(5). */
export const osReleases = {
  fedora: 'NAME="Fedora Linux"\nID=fedora\n',
  rocky: 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\n',
  arch: 'NAME="Arch Linux"\nID=arch\n',
  manjaro: 'NAME="Manjaro Linux"\nID=manjaro\nID_LIKE=arch\n',
  alpine: 'NAME="Alpine Linux"\nID=alpine\n',
  suse: 'NAME="openSUSE Tumbleweed"\nID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n',
  ubuntu: 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n',
  mint: 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n',
  debian: 'NAME="Debian GNU/Linux"\nID=debian\n',
  other: 'NAME=Slackware\nID=slackware\n',
} as const;

/** What differs from this machine. */
export interface Differences {
  /** Of another distribution, so that there is no dpkg either. */
  release?: keyof typeof osReleases;
  /** Files and folders that are empty there. */
  hidden?: readonly string[];
  /** Folders, or files, that hold something else there: from where it is to where it is seen. */
  moved?: Readonly<Record<string, string>>;
}

/** What a command is to be started with so that it sees that system. */
export function otherSystem({ release, hidden = [], moved = {} }: Differences): string[] {
  const binds: [string, string][] = Object.entries(moved);
  const isNone = (path: string) => statSync(path, { throwIfNoEntry: false }) === undefined;
  if (release !== undefined) {
    const file = join(home, `os-release-${release}`);
    writeFileSync(file, osReleases[release]);
    binds.push([file, '/etc/os-release']);
    for (const tool of ['dpkg-query', 'dpkg', 'apt-get'])
      if (!isNone(`/usr/bin/${tool}`)) binds.push([empty.file, `/usr/bin/${tool}`]);
  }
  for (const path of hidden)
    if (!isNone(path)) binds.push([statSync(path).isDirectory() ? empty.folder : empty.file, path]);
  const script = binds.map((_, index) => `mount --bind "\${${2 * index + 1}}" "\${${2 * index + 2}}"`);
  const shift = `shift ${2 * binds.length}`;
  return [...(namespace ?? []), 'sh', '-c', [...script, shift, 'exec "$@"'].join(' && '), 'sh', ...binds.flat()];
}
