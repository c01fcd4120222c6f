/** The boot loader that a Bochs machine starts with: isolinux, of the syslinux project. */
import { everywhere, redHat } from './distribution.ts';
import { filesIn, type LabNeed } from './need.ts';

/** The loader, its hybrid start sector, and the module that it loads; the three have to be of one version. */
export interface Isolinux {
  loader: string;
  hybridStart: string;
  module: string;
}

/** Fedora, openSUSE, Alpine; Arch; the syslinux project's own layout below /usr/local. */
const dirs = ['/usr/share/syslinux', '/usr/lib/syslinux/bios', '/usr/local/share/syslinux', '/usr/lib/syslinux'];

/** Where this machine has it. */
export function findIsolinux(): Isolinux | undefined {
  const debian = ['/usr/lib/ISOLINUX/isolinux.bin', '/usr/lib/ISOLINUX/isohdpfx.bin'];
  const found =
    filesIn(['/'], [...debian, '/usr/lib/syslinux/modules/bios/ldlinux.c32']) ??
    filesIn(dirs, ['isolinux.bin', 'isohdpfx.bin', 'ldlinux.c32']);
  if (!found) return undefined;
  const [loader, hybridStart, module] = found as [string, string, string];
  return { loader, hybridStart, module };
}

export const isolinuxNeed: LabNeed = {
  name: 'isolinux.bin, isohdpfx.bin and ldlinux.c32 of syslinux',
  isThere: () => findIsolinux() !== undefined,
  packages: everywhere('syslinux', {
    debian: ['isolinux', 'syslinux-common'],
    ...redHat('syslinux', 'syslinux-nonlinux'),
  }),
};
