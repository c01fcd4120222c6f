import { release } from 'node:os';
import { profileByName } from '../abi/dsm/profiles.ts';
import { ArgumentError } from '../base/errors.ts';
import { Kvm } from '../kvm/kvm.ts';
import type { Lane } from '../lab/index.ts';
import { forwardsIcrWrites } from '../probe/icr-write.ts';
import type { GlobalOptions } from './options.ts';

/** Set inside a lab machine to its lane. */
export const LANE = process.env.KVM_DSM_LANE;

/** Where this process is: the host, or a lane of the lab. */
export const here = { on: LANE ?? 'host', kernel: release() };

/** Decides where a command runs. `auto`: on this host if its kernel forwards ICR writes, else in the vmx lab. */
export function choosePlace(options: GlobalOptions): 'host' | Lane {
  const forLab = (['kernel', 'cmdline', 'emulator'] as const).find((name) => options[name] !== undefined);
  if (options.on === 'host' && forLab)
    throw new ArgumentError(`--${forLab}`, `--${forLab} is for the lab, not for the host`, 'Add --on vmx or --on svm.');
  if (options.on !== 'auto') return options.on;
  if (LANE) return 'host';
  return !forLab && hostForwards(options) ? 'host' : 'vmx';
}

function hostForwards({ device, profile }: GlobalOptions): boolean {
  const numbers = profileByName(profile);
  try {
    using kvm = Kvm.open(device);
    return forwardsIcrWrites(kvm, { profile: numbers });
  } catch {
    // Why it cannot is the doctor's subject; here it means: not on this host.
    return false;
  }
}

/** The place in words, for a person. */
export function describePlace(): string {
  const lanes: Record<string, string> = {
    host: 'this host',
    vmx: 'the vmx lab (KVM-Intel under Bochs)',
    svm: 'the svm lab (KVM-AMD under QEMU)',
  };
  return `${lanes[here.on] ?? here.on}, Linux ${here.kernel}`;
}
