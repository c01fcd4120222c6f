/** Which of KVM's modules runs guests here. */
import { existsSync } from 'node:fs';
import { type HostCpu, readHostCpu } from './cpu.ts';

export type KvmModule = 'kvm_intel' | 'kvm_amd';

/** `undefined`: nobody has looked yet. */
let virtualization: HostCpu['virtualization'] | undefined;

/**
 * The module that runs guests on this CPU; `null` if none is there that could. Both may be built in: then /sys/module has
 * the parameters of both, and those of the other vendor's mean nothing.
 */
export function kvmModule(root = '/sys/module', cpu = thisCpu()): KvmModule | null {
  const name = cpu === 'VMX' ? 'kvm_intel' : cpu === 'SVM' ? 'kvm_amd' : null;
  return name !== null && existsSync(`${root}/${name}`) ? name : null;
}

/** It does not change, and the file is long on a machine of many CPUs. */
function thisCpu(): HostCpu['virtualization'] {
  // A CPU that offers nothing is an answer, too.
  if (virtualization === undefined) virtualization = readHostCpu().virtualization;
  return virtualization;
}
