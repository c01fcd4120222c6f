/** What the doctor finds about the machine that it runs on. */
import type { DsmProfile } from '../abi/dsm/profiles.ts';
import { readKvmFacts } from '../host/kvm-facts.ts';
import { checkCpu } from './cpu.ts';
import { openDevice } from './device.ts';
import { checkEmission, checkForwarding, checkInjection, checkOptIn } from './forwarding.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';
import { checkKernelConfig, checkModuleParameters } from './kernel.ts';
import { checkKernelLog } from './kernel-log.ts';
import { checkLockdown } from './lockdown.ts';
import { checkVfio } from './vfio.ts';

export type { HealthCheck } from './health-check.ts';

/** What the doctor found about this host (or, inside the lab, about the emulated machine). */
export interface Examination {
  checks: HealthCheck[];
  /** KVM is there and may be used. */
  usable: boolean;
  /** Its kernel forwards ICR writes. */
  forwards: boolean;
}

/** Examines the machine that this process runs on. */
export function examine(device: string, profile: DsmProfile): Examination {
  const facts = readKvmFacts();
  const opened = openDevice(device, profile);
  const checks = [
    ...checkCpu(facts),
    ...opened.checks,
    ...checkModuleParameters(),
    ...checkKernelConfig(),
    ...checkLockdown(),
    checkKernelLog(),
  ];
  if (!opened.kvm) {
    const skipped = healthCheck(
      'forwarding',
      'note',
      'Whether ICR writes are forwarded was not tried: there is no usable KVM',
      null,
    );
    return { checks: [...checks, skipped], usable: false, forwards: false };
  }
  using kvm = opened.kvm;
  const { forwards, checks: forwarding } = checkForwarding(kvm, facts);
  const more = [checkEmission(kvm, forwards), checkInjection(kvm), checkVfio(kvm)];
  return { checks: [...checks, ...checkOptIn(kvm), ...forwarding, ...more], usable: true, forwards };
}
