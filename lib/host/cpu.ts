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
  const flags = cpuFlags(cpuinfo);
  return {
    vendor: field(cpuinfo, 'vendor_id'),
    model: field(cpuinfo, 'model name'),
    online: cpuinfo.match(/^processor\s*:/gm)?.length ?? 0,
    virtualization: flags.has('vmx') ? 'VMX' : flags.has('svm') ? 'SVM' : null,
  };
}

/** The flags of the first CPU. */
export function cpuFlags(cpuinfo: string): ReadonlySet<string> {
  return new Set(field(cpuinfo, 'flags').split(/\s+/));
}

/** What virtualization a CPU of this maker has, if it has any. */
export function virtualizationOf(vendor: string): 'VMX' | 'SVM' {
  return /AMD|Hygon/.test(vendor) ? 'SVM' : 'VMX';
}

function field(cpuinfo: string, name: string): string {
  return new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(cpuinfo)?.[1]?.trim() ?? '';
}
