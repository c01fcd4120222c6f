/** What this Linux tells of its KVM without the device being opened. */
import { existsSync } from 'node:fs';
import { inContainer } from './container.ts';
import { cpuFlags, type HostCpu, readHostCpu, virtualizationOf } from './cpu.ts';
import { virtualizationOff } from './firmware.ts';
import { type Hypervisor, readHypervisor } from './hypervisor.ts';
import type { KvmModule } from './kvm-module.ts';
import { readText } from './read-text.ts';

export interface KvmFacts {
  cpu: HostCpu;
  /** What a CPU of this maker offers, whether this one shows it or not. */
  kind: 'VMX' | 'SVM';
  hypervisor: Hypervisor | null;
  container: boolean;
  /** The firmware has switched virtualization off; `null`: not known. */
  off: boolean | null;
  /** The module that would run guests on such a CPU. */
  module: KvmModule;
  /** It is there: loaded, or built in. */
  loaded: boolean;
  /** The kernel's folder of modules has it; `null`: there is no such folder, as in most containers. */
  available: boolean | null;
  /** The kernel that runs. */
  release: string;
}

/** @param root where /proc, /sys, /dev and /lib are */
export function readKvmFacts(root = ''): KvmFacts {
  const cpuinfo = readText(`${root}/proc/cpuinfo`) ?? '';
  const cpu = readHostCpu(cpuinfo);
  const kind = cpu.virtualization ?? virtualizationOf(cpu.vendor);
  const module = kind === 'VMX' ? 'kvm_intel' : 'kvm_amd';
  const release = readText(`${root}/proc/sys/kernel/osrelease`) ?? '';
  return {
    cpu,
    kind,
    hypervisor: readHypervisor(cpuFlags(cpuinfo), root),
    container: inContainer(root),
    off: cpu.virtualization === null ? virtualizationOff(kind, root) : false,
    module,
    loaded: existsSync(`${root}/sys/module/${module}`),
    available: isAvailable(module, `${root}/lib/modules/${release}`),
    release,
  };
}

function isAvailable(module: KvmModule, folder: string): boolean | null {
  const lists = ['modules.dep', 'modules.builtin'].map((name) => readText(`${folder}/${name}`));
  if (lists.every((list) => list === null)) return null;
  const file = `/${module.replace('_', '-')}.ko`;
  return lists.some((list) => list?.includes(file) ?? false);
}
