import type { DsmProfile } from '../abi/dsm/profiles.ts';
import { type Check, check } from './check.ts';
import { checkCpu } from './cpu.ts';
import { openDevice } from './device.ts';
import { checkEmission, checkForwarding, checkInjection } from './forwarding.ts';
import { checkKernelConfig, checkModuleParameters } from './kernel.ts';
import { checkVfio } from './vfio.ts';

export type { Check } from './check.ts';

/** What the doctor found about this host (or, inside the lab, about the emulated machine). */
export interface Examination {
  checks: Check[];
  /** KVM is there and may be used. */
  usable: boolean;
  /** Its kernel forwards ICR writes. */
  forwards: boolean;
}

/** Examines the machine that this process runs on. */
export function examine(device: string, profile: DsmProfile): Examination {
  const opened = openDevice(device);
  const checks = [...checkCpu(), ...opened.checks, ...checkModuleParameters(), ...checkKernelConfig()];
  if (!opened.kvm) {
    const skipped = check(
      'forwarding',
      'note',
      'Whether ICR writes are forwarded was not tried: there is no usable KVM',
      null,
    );
    return { checks: [...checks, skipped], usable: false, forwards: false };
  }
  using kvm = opened.kvm;
  const { forwards, checks: forwarding } = checkForwarding(kvm, profile);
  const more = [checkEmission(profile, forwards), checkInjection(kvm, profile), checkVfio(kvm)];
  return { checks: [...checks, ...forwarding, ...more], usable: true, forwards };
}
