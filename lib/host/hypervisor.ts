/** Whose virtual machine this Linux runs in. */
import { readText } from './read-text.ts';

export type HypervisorName = 'KVM' | 'QEMU' | 'Hyper-V' | 'VMware' | 'VirtualBox' | 'Xen' | 'Parallels' | 'bhyve';

/** `null` where it is one that nothing here tells of. */
export interface Hypervisor {
  name: HypervisorName | null;
}

/** By the words of a machine's maker in /sys/class/dmi/id; the sooner one counts: clouds name themselves, not their KVM. */
const makers: readonly [RegExp, HypervisorName][] = [
  [/VMware/i, 'VMware'],
  [/VirtualBox|innotek/i, 'VirtualBox'],
  [/Parallels/i, 'Parallels'],
  [/BHYVE/i, 'bhyve'],
  [/^Microsoft Corporation\nVirtual Machine/, 'Hyper-V'],
  [/\bXen\b/, 'Xen'],
  [/KVM|Google|Amazon EC2|DigitalOcean|Alibaba|OpenStack|RHEV|oVirt|Hetzner/i, 'KVM'],
  [/QEMU|Bochs/i, 'QEMU'],
];

/**
 * By the CPU's flag `hypervisor`, and by what stands below /sys. CPUID's leaf 0x40000000 would tell as well, but no file has it
 * for everybody.
 *
 * @param flags those of /proc/cpuinfo
 * @returns `null`: this is no virtual machine, or one that hides it
 */
export function readHypervisor(flags: ReadonlySet<string>, root = ''): Hypervisor | null {
  if (readText(`${root}/sys/hypervisor/type`) === 'xen') return { name: 'Xen' };
  if (!flags.has('hypervisor')) return null;
  // Windows' Linux has no DMI.
  if (/microsoft/i.test(readText(`${root}/proc/sys/kernel/osrelease`) ?? '')) return { name: 'Hyper-V' };
  const words = ['sys_vendor', 'product_name', 'bios_vendor'].map(
    (file) => readText(`${root}/sys/class/dmi/id/${file}`) ?? '',
  );
  return { name: makers.find(([pattern]) => pattern.test(words.join('\n')))?.[1] ?? null };
}

/** What has to be done outside for its machines to have VMX or SVM. */
export function nestedAdvice(name: HypervisorName | null, wanted: 'VMX' | 'SVM'): string {
  const module = wanted === 'VMX' ? 'kvm_intel' : 'kvm_amd';
  const flag = wanted.toLowerCase();
  switch (name) {
    case 'KVM':
      return `On its host load ${module} with nested=1 and give this machine the CPU \`-cpu host\` (libvirt: host-passthrough); in a cloud take a machine type with nested virtualization, or bare metal.`;
    case 'QEMU':
      return `Give this machine the CPU \`-cpu host\` (with KVM) or one with +${flag} (without).`;
    case 'Hyper-V':
      return 'On its host: Set-VMProcessor -VMName <name> -ExposeVirtualizationExtensions $true (WSL: nestedVirtualization=true in .wslconfig; Azure: a size with nested virtualization).';
    case 'VMware':
      return 'Switch on "Virtualize Intel VT-x/EPT or AMD-V/RVI" for this machine (vhv.enable = "TRUE").';
    case 'VirtualBox':
      return 'On its host: VBoxManage modifyvm <name> --nested-hw-virt on.';
    case 'Xen':
      return 'Switch on nested virtualization for this machine (nestedhvm=1).';
    default:
      return 'Switch on nested virtualization for this machine, where its hypervisor is configured.';
  }
}
