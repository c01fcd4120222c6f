/** What building a kernel needs. */
import { existsSync } from 'node:fs';
import { installedVersions } from '../kernel/debian.ts';
import { seriesLinux } from '../kernel/own-series.ts';
import { everywhere, type Packages, redHat } from './distribution.ts';
import { type LabNeed, program } from './need.ts';

/** The Debian package that holds the lab kernel's source. */
export const kernelSourcePackage = `linux-source-${seriesLinux}`;

/** Where that package puts the source. */
export const kernelSourceTarball = `/usr/src/${kernelSourcePackage}.tar.xz`;

/** The version of Debian's kernel source that is here; undefined where it is not, or where nobody can tell. */
export function debianSourceVersion(): string | undefined {
  return existsSync(kernelSourceTarball)
    ? installedVersions([kernelSourcePackage]).get(kernelSourcePackage)
    : undefined;
}

/** Debian's source of the kernel: no other distribution has a package of that version. */
export const debianSource: LabNeed = {
  name: `Debian's ${kernelSourcePackage}`,
  isThere: () => debianSourceVersion() !== undefined,
  packages: { debian: [kernelSourcePackage], ubuntu: [] },
};

const includes = ['/usr/include', '/usr/include/x86_64-linux-gnu', '/usr/local/include'];

function header(name: string, packages: Packages): LabNeed {
  return { name: `<${name}>`, isThere: () => includes.some((dir) => existsSync(`${dir}/${name}`)), packages };
}

/** What compiling a kernel takes. */
export const compileNeeds: readonly LabNeed[] = [
  ...['gcc', 'make', 'bc', 'bison', 'flex', 'lz4'].map((name) => program(name, everywhere(name))),
  program('perl', everywhere('perl', { debian: ['perl-base'], suse: ['perl-base'], ...redHat('perl-interpreter') })),
  program('bash', everywhere('bash')),
  header(
    'stdio.h',
    everywhere('glibc-devel', { debian: ['libc6-dev'], arch: ['glibc'], alpine: ['musl-dev', 'linux-headers'] }),
  ),
  header('gelf.h', {
    debian: ['libelf-dev'],
    ...redHat('elfutils-libelf-devel'),
    arch: ['libelf'],
    alpine: ['elfutils-dev'],
    suse: ['libelf-devel'],
  }),
  header('openssl/opensslv.h', {
    debian: ['libssl-dev'],
    ...redHat('openssl-devel'),
    arch: ['openssl'],
    alpine: ['openssl-dev'],
    suse: ['libopenssl-devel'],
  }),
];

/** What patching a tree takes. */
export const patchNeed: LabNeed = program('patch', everywhere('patch'));

/** What unpacking a tarball takes. */
export const unpackNeeds: readonly LabNeed[] = [
  program('tar', everywhere('tar')),
  program('xz', everywhere('xz', { debian: ['xz-utils'] })),
];

/** What making a kernel of a tarball takes. */
export const tarballNeeds: readonly LabNeed[] = [...unpackNeeds, patchNeed, ...compileNeeds];
