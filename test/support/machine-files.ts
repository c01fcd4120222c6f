/** Files of machines in a folder of the test's, as /proc, /sys, /dev and /etc have them there. */
import { closeSync, mkdirSync, mkdtempSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What each file holds, by its path; for an MSR its value, by `msr:` and its number. */
export type MachineFiles = Record<string, string>;

/** Writes them below a new folder in `work`, whose path it returns. */
export function machineRoot(work: string, files: MachineFiles): string {
  const root = mkdtempSync(join(work, 'machine-'));
  for (const [path, text] of Object.entries(files)) {
    const msr = /^msr:(0x[0-9a-f]+)$/.exec(path)?.[1];
    const full = join(root, msr ? 'dev/cpu/0/msr' : path);
    mkdirSync(dirname(full), { recursive: true });
    if (msr) writeAt(full, Number(msr), BigInt(text));
    else writeFileSync(full, text);
  }
  return root;
}

/** The file is as long as the MSR's number, and holds nothing before it. */
function writeAt(path: string, position: number, value: bigint): void {
  const fd = openSync(path, 'w');
  writeSync(fd, new BigUint64Array([value]), 0, 8, position);
  closeSync(fd);
}

const cpu = (vendor: string, model: string, flags: string) => ({
  'proc/cpuinfo': `processor\t: 0\nvendor_id\t: ${vendor}\nmodel name\t: ${model}\nflags\t\t: fpu vme de pse tsc msr ${flags}\n`,
});
const dmi = (vendor: string, product: string, bios: string) => ({
  'sys/class/dmi/id/sys_vendor': `${vendor}\n`,
  'sys/class/dmi/id/product_name': `${product}\n`,
  'sys/class/dmi/id/bios_vendor': `${bios}\n`,
});
const kernel = (
  release: string,
  modules = 'kernel/arch/x86/kvm/kvm-intel.ko.xz: kernel/arch/x86/kvm/kvm.ko.xz\nkernel/arch/x86/kvm/kvm-amd.ko.xz: kernel/arch/x86/kvm/kvm.ko.xz\n',
) => ({
  'proc/sys/kernel/osrelease': `${release}\n`,
  [`lib/modules/${release}/modules.dep`]: modules,
});
/** A module that is loaded, with these parameters. */
const loaded = (module: string, parameters: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [`sys/module/${module}/parameters/${name}`, `${value}\n`]),
  );

const thinkpad = {
  ...cpu('GenuineIntel', '11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz', 'vmx sse2'),
  ...dmi('LENOVO', '20XW004AGE', 'LENOVO'),
  ...kernel('6.1.0-37-amd64'),
};
const epyc = {
  ...cpu('AuthenticAMD', 'AMD EPYC 7763 64-Core Processor', 'svm sse2'),
  ...dmi('Dell Inc.', 'PowerEdge R6525', 'Dell Inc.'),
  ...kernel('6.8.0-60-generic'),
};

/** Machines by what is amiss with them. */
export const machines = {
  intel: {
    ...thinkpad,
    ...loaded('kvm_intel', {
      enable_apicv: 'Y',
      enable_ipiv: 'N',
      ept: 'Y',
      unrestricted_guest: 'Y',
      emulate_invalid_guest_state: 'Y',
      nested: 'Y',
    }),
    'sys/kernel/security/lockdown': '[none] integrity confidentiality\n',
  },
  oldIntel: {
    ...cpu('GenuineIntel', 'Intel(R) Core(TM)2 Duo CPU E8400 @ 3.00GHz', 'vmx sse2'),
    ...kernel('6.1.0-37-amd64'),
    ...loaded('kvm_intel', {
      enable_apicv: 'N',
      ept: 'N',
      unrestricted_guest: 'N',
      emulate_invalid_guest_state: 'Y',
      nested: 'N',
    }),
  },
  notLoaded: thinkpad,
  noModules: { ...thinkpad, ...kernel('6.1.0-37-amd64', 'kernel/fs/ext4/ext4.ko.xz:\n') },
  /** Linux takes the flag away where the firmware has it off, and says so. */
  offByMsr: {
    ...thinkpad,
    ...cpu('GenuineIntel', 'Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz', 'sse2'),
    'msr:0x3a': '0x1',
  },
  onByMsr: {
    ...thinkpad,
    ...cpu('GenuineIntel', 'Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz', 'sse2'),
    'msr:0x3a': '0x5',
  },
  offByLog: {
    ...thinkpad,
    ...cpu('GenuineIntel', 'Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz', 'sse2'),
    'dev/kmsg': '3,251,44512,-;x86/cpu: VMX (outside TXT) disabled by BIOS\n',
  },
  amd: { ...epyc, ...loaded('kvm_amd', { avic: 'N', npt: '1', nested: '1' }) },
  amdAvic: { ...epyc, ...loaded('kvm_amd', { avic: 'Y', npt: '0', nested: '0' }) },
  amdOffByMsr: {
    ...epyc,
    ...cpu('AuthenticAMD', 'AMD Ryzen 7 5800X 8-Core Processor', 'sse2'),
    'msr:0xc0010114': '0x18',
  },
  amdOffByLog: {
    ...epyc,
    ...cpu('AuthenticAMD', 'AMD Ryzen 7 5800X 8-Core Processor', 'sse2'),
    'dev/kmsg': '3,902,2345678,-;kvm_amd: SVM disabled (by BIOS) in MSR_VM_CR on CPU 3\n',
  },
  azure: {
    ...cpu('GenuineIntel', 'Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz', 'hypervisor vmx sse2'),
    ...dmi('Microsoft Corporation', 'Virtual Machine', 'Microsoft Corporation'),
    ...kernel('6.11.0-1018-azure'),
    ...loaded('kvm_intel', { ept: 'Y', unrestricted_guest: 'Y', nested: 'Y' }),
  },
  wsl: {
    ...cpu('GenuineIntel', '13th Gen Intel(R) Core(TM) i7-13700H', 'hypervisor sse2'),
    'proc/sys/kernel/osrelease': '5.15.167.4-microsoft-standard-WSL2\n',
  },
  libvirt: {
    ...cpu('GenuineIntel', 'Intel Xeon Processor (Skylake, IBRS)', 'hypervisor sse2'),
    ...dmi('QEMU', 'Standard PC (Q35 + ICH9, 2009)', 'SeaBIOS'),
    ...kernel('6.1.0-37-amd64'),
  },
  ec2: {
    ...cpu('AuthenticAMD', 'AMD EPYC 7R13 Processor', 'hypervisor sse2'),
    ...dmi('Amazon EC2', 'c6a.large', 'Amazon EC2'),
    ...kernel('6.1.0-37-cloud-amd64'),
  },
  virtualbox: {
    ...cpu('GenuineIntel', 'Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz', 'hypervisor sse2'),
    ...dmi('innotek GmbH', 'VirtualBox', 'innotek GmbH'),
    ...kernel('6.8.0-60-generic'),
  },
  /** Docker on a machine that has KVM, without --device. */
  docker: {
    ...cpu('GenuineIntel', 'Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz', 'vmx sse2'),
    'proc/sys/kernel/osrelease': '6.8.0-60-generic\n',
    '.dockerenv': '',
    ...loaded('kvm_intel', { ept: 'Y', nested: 'Y' }),
  },
  lockedDown: { ...thinkpad, 'sys/kernel/security/lockdown': 'none [integrity] confidentiality\n' },
} satisfies Record<string, MachineFiles>;
