/** What this host's KVM module says of APICv (Intel) or AVIC (AMD). */
import { readFileSync } from 'node:fs';

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

/** The host's setting; `null` where neither kvm_intel nor kvm_amd tells. */
export function apicvParameter(): ApicvParameter | null {
  for (const parameter of apicvParameters) {
    try {
      const text = readFileSync(`/sys/module/${parameter}`, 'ascii').trim();
      return { parameter, enabled: text === 'Y' || text === '1' };
    } catch {
      // The other vendor's module, or none.
    }
  }
  return null;
}
