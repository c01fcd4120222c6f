/** What /proc/cpuinfo tells of this machine's CPUs. */
import { readFileSync } from 'node:fs';

export interface HostCpu {
  /** Such as `GenuineIntel`; empty if it is not told. */
  vendor: string;
  model: string;
  /** How many are online. */
  online: number;
  /** What they offer for virtualization. */
  virtualization: 'VMX' | 'SVM' | null;
}

/** @param cpuinfo the file's text */
export function readHostCpu(cpuinfo = readFileSync('/proc/cpuinfo', 'utf8')): HostCpu {
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(cpuinfo)?.[1]?.trim() ?? '';
  const flags = field('flags');
  return {
    vendor: field('vendor_id'),
    model: field('model name'),
    online: cpuinfo.match(/^processor\s*:/gm)?.length ?? 0,
    virtualization: /\bvmx\b/.test(flags) ? 'VMX' : /\bsvm\b/.test(flags) ? 'SVM' : null,
  };
}
