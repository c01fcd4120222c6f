/** The Debian package that holds the lab kernel's source. */
export const kernelSourcePackage = 'linux-source-6.12';

/** Where that package puts the source. */
export const kernelSourceTarball = '/usr/src/linux-source-6.12.tar.xz';

/** What compiling a kernel takes. */
export const compilePackages = ['gcc', 'make', 'libc6-dev', 'bc', 'bison', 'flex', 'libelf-dev', 'libssl-dev', 'lz4'];

/** What the lab kernel takes beside the compiler. */
export const sourcePackages = [kernelSourcePackage, 'patch', 'tar', 'xz-utils'];

/** What every boot takes: busybox for the guest's user space, xorriso for its disk, util-linux to end with us. */
const guestPackages = ['busybox-static', 'xorriso', 'util-linux'];

/** What the vmx lane takes. bochs itself is content with seabios for vgabios, but does not start. */
export const vmxPackages = [
  ...guestPackages,
  'bochs',
  'bochs-term',
  'bochsbios',
  'vgabios',
  'isolinux',
  'syslinux-common',
];

/** What the svm lane takes. */
export const svmPackages = [...guestPackages, 'qemu-system-x86', 'seabios'];

/** Everything that `lab build` asks for. */
export const allPackages = [...new Set([...sourcePackages, ...compilePackages, ...vmxPackages, ...svmPackages])];
