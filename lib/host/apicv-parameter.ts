/** What this host's KVM module says of APICv (Intel) or AVIC (AMD). */
import { readFileSync } from 'node:fs';
import { kvmModule } from './kvm-module.ts';

/**
 * APICv and AVIC let the CPU handle a guest's ICR writes. A kernel of the series then sees none of them: they do not come
 * by the path that it hooks.
 */
export interface ApicvParameter {
  /** The module parameter's path below /sys/module. */
  parameter: 'kvm_intel/parameters/enable_apicv' | 'kvm_amd/parameters/avic';
  /** What the host's module says now. */
  enabled: boolean;
}

/** The parameters that there may be. */
export const apicvParameters: readonly ApicvParameter['parameter'][] = [
  'kvm_intel/parameters/enable_apicv',
  'kvm_amd/parameters/avic',
];

const ofModule = {
  kvm_intel: 'kvm_intel/parameters/enable_apicv',
  kvm_amd: 'kvm_amd/parameters/avic',
} as const;

/** The host's setting, of the module that runs its guests; `null` where there is none, or it does not tell. */
export function apicvParameter(): ApicvParameter | null {
  const module = kvmModule();
  if (module === null) return null;
  const parameter = ofModule[module];
  try {
    const text = readFileSync(`/sys/module/${parameter}`, 'ascii').trim();
    return { parameter, enabled: text === 'Y' || text === '1' };
  } catch {
    return null;
  }
}
