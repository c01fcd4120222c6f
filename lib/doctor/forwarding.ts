import type { DsmProfile } from '../abi/dsm/profile.ts';
import { apicvParameter } from '../apicv.ts';
import { KvmDsmError } from '../errors.ts';
import type { Kvm } from '../kvm.ts';
import { forwardsIcrWrites } from '../probe.ts';
import { type Check, check } from './check.ts';

/** Finds out by guests of two instructions what becomes of an ICR write here. */
export function checkForwarding(kvm: Kvm, profile: DsmProfile): { forwards: boolean; checks: Check[] } {
  try {
    const forwards = forwardsIcrWrites(kvm, { profile });
    const plain = forwards && forwardsIcrWrites(kvm, { profile, inhibit: false });
    return { forwards, checks: [behaviour(forwards), ...(forwards ? [withoutInhibit(plain)] : [])] };
  } catch (error) {
    if (!(error instanceof KvmDsmError)) throw error;
    return {
      forwards: false,
      checks: [check('forwarding', 'fail', `A guest of two instructions does not run: ${error.message}`, error.advice)],
    };
  }
}

function behaviour(forwards: boolean): Check {
  if (forwards) return check('forwarding', 'ok', "A guest's ICR2 write comes out as KVM_EXIT_DSM_SEND_IRQ");
  return check(
    'forwarding',
    'fail',
    'This kernel does not forward ICR writes: a guest wrote ICR2 and KVM_RUN did not return for it',
    'Boot a kernel with CONFIG_KVM_DSM_IRQ_FORWARD, or use the lab: --on vmx.',
  );
}

function withoutInhibit(plain: boolean): Check {
  const parameter = apicvParameter();
  const setting = parameter ? `${parameter.parameter} is ${parameter.enabled ? 'Y' : 'N'}` : 'no APICv here';
  if (plain)
    return check('forwarding.apicv', 'ok', `A VM that does not inhibit APICv is forwarded as well (${setting})`);
  return check(
    'forwarding.apicv',
    'warn',
    `A VM that does not inhibit APICv is not forwarded: APICv hides its ICR writes (${setting})`,
    'Inhibit it for the VM (machines of this package do, unless the script says `apicv: true`), or load kvm_intel with enable_apicv=0.',
  );
}
