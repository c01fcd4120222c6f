/** The Debian packages that the lab needs. */
import { lanes } from '../lanes/index.ts';
import type { Lane } from '../lanes/lane.ts';

/** The Debian package that holds the lab kernel's source. */
export const kernelSourcePackage = 'linux-source-6.12';

/** Where that package puts the source. */
export const kernelSourceTarball = '/usr/src/linux-source-6.12.tar.xz';

/** What compiling a kernel takes. */
export const compilePackages = ['gcc', 'make', 'libc6-dev', 'bc', 'bison', 'flex', 'libelf-dev', 'libssl-dev', 'lz4'];

/** What the lab kernel takes beside the compiler. */
export const sourcePackages = [kernelSourcePackage, 'patch', 'tar', 'xz-utils'];

/** What every boot takes: busybox for the user space inside, xorriso for its disk, util-linux to end with us. */
const machinePackages = ['busybox-static', 'xorriso', 'util-linux'];

/** What booting a lane takes. */
export const lanePackages = ({ packages }: Lane): string[] => [...machinePackages, ...packages];

/** Everything that `lab build` asks for. */
export const allPackages = [...new Set([...sourcePackages, ...compilePackages, ...lanes.flatMap(lanePackages)])];
