import type { DsmProfile } from '../abi/dsm/profile.ts';
import { apicvParameter } from '../apicv.ts';
import { KvmDsmError } from '../errors.ts';
import type { Kvm } from '../kvm.ts';
import { type IcrProbe, probeIcrWrite } from '../probe.ts';
import { type Check, check } from './check.ts';

/** Finds out by guests of two instructions what becomes of an ICR write here. */
export function checkForwarding(kvm: Kvm, profile: DsmProfile): { forwards: boolean; checks: Check[] } {
  try {
    const probe = probeIcrWrite(kvm, { profile });
    if (probe.outcome !== 'forwarded') return { forwards: false, checks: [notForwarded(probe)] };
    const seen = check('forwarding', 'ok', "A guest's ICR2 write comes out as KVM_EXIT_DSM_SEND_IRQ");
    return { forwards: true, checks: [seen, withoutInhibit(probeIcrWrite(kvm, { profile, inhibit: false }))] };
  } catch (error) {
    if (!(error instanceof KvmDsmError)) throw error;
    return {
      forwards: false,
      checks: [check('forwarding', 'fail', `A guest of two instructions does not run: ${error.message}`, error.advice)],
    };
  }
}

function notForwarded({ outcome, exit }: IcrProbe): Check {
  const found =
    outcome === 'silent'
      ? 'This kernel does not forward ICR writes: a guest wrote ICR2 and KVM_RUN did not return for it'
      : `A guest of two instructions does not come to its ICR2 write: ${exit}`;
  return check('forwarding', 'fail', found, 'Boot a kernel with CONFIG_KVM_DSM_IRQ_FORWARD, or use the lab: --on vmx.');
}

function withoutInhibit({ outcome, exit }: IcrProbe): Check {
  const parameter = apicvParameter();
  const setting = parameter ? `${parameter.parameter} is ${parameter.enabled ? 'Y' : 'N'}` : 'no APICv here';
  if (outcome === 'forwarded')
    return check('forwarding.apicv', 'ok', `A VM that does not inhibit APICv is forwarded as well (${setting})`);
  const why = outcome === 'silent' ? 'APICv hides its ICR writes' : `it does not run: ${exit}`;
  return check(
    'forwarding.apicv',
    'warn',
    `A VM that does not inhibit APICv is not forwarded: ${why} (${setting})`,
    'Inhibit it for the VM (machines of this package do, unless the script says `apicv: true`), or load kvm_intel with enable_apicv=0.',
  );
}
