/** What the series does on this kernel. */
import { optInWords } from '../abi/dsm/profiles.ts';
import { KvmDsmError } from '../base/errors.ts';
import type { Exit } from '../exit/exit.ts';
import { apicvParameter } from '../host/apicv-parameter.ts';
import type { KvmFacts } from '../host/kvm-facts.ts';
import type { Kvm } from '../kvm/kvm.ts';
import { type IcrProbe, probeIcrWrite } from '../probe/icr-write.ts';
import { askInjection, injectionIoctls } from '../probe/injection.ts';
import { reservedExitParameters, reservedExits } from '../probe/reserved-exits.ts';
import { kernelAdvice, OR_LAB } from './advice.ts';
import { HYPERV_ENTRY } from './cpu.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';

/** Finds out by guests of two instructions what becomes of an ICR write here. */
export function checkForwarding(kvm: Kvm, facts: KvmFacts): { forwards: boolean; checks: HealthCheck[] } {
  try {
    const probe = probeIcrWrite(kvm);
    if (probe.outcome !== 'forwarded') return { forwards: false, checks: [notForwarded(probe, facts)] };
    const seen = healthCheck('forwarding', 'ok', "A guest's ICR2 write comes out as KVM_EXIT_DSM_SEND_IRQ");
    return { forwards: true, checks: [seen, withoutInhibit(probeIcrWrite(kvm, { inhibit: false }))] };
  } catch (error) {
    if (!(error instanceof KvmDsmError)) throw error;
    return {
      forwards: false,
      checks: [
        healthCheck('forwarding', 'fail', `A guest of two instructions does not run: ${error.message}`, error.advice),
      ],
    };
  }
}

/** A guest that cannot run at all says nothing of the series. */
export function failureAdvice(exit: Exit, { hypervisor, kind }: Pick<KvmFacts, 'hypervisor' | 'kind'>): string {
  if (exit.name === 'KVM_EXIT_FAIL_ENTRY' && exit.hardwareEntryFailureReason === 0n) {
    if (hypervisor?.name === 'Hyper-V' && kind === 'VMX') return HYPERV_ENTRY;
    if (hypervisor)
      return `The hypervisor outside refuses the entry without saying why: nested virtualization does not work here. ${OR_LAB}`;
  }
  return `KVM cannot run guests here as it is: see its messages in the kernel's log, and the other findings. ${OR_LAB}`;
}

function notForwarded({ outcome, exit, left }: IcrProbe, facts: KvmFacts): HealthCheck {
  const found =
    outcome === 'silent'
      ? 'This kernel does not forward ICR writes: a guest wrote ICR2 and KVM_RUN did not return for it'
      : `A guest of two instructions does not come to its ICR2 write: ${exit}`;
  return healthCheck(
    'forwarding',
    'fail',
    found,
    outcome === 'failed' ? failureAdvice(left, facts) : kernelAdvice('CONFIG_KVM_DSM_IRQ_FORWARD=y'),
  );
}

function withoutInhibit({ outcome, exit }: IcrProbe): HealthCheck {
  const parameter = apicvParameter();
  const setting = parameter ? `${parameter.parameter} is ${parameter.enabled ? 'Y' : 'N'}` : 'no APICv here';
  if (outcome === 'forwarded')
    return healthCheck('forwarding.apicv', 'ok', `A VM that does not inhibit APICv is forwarded as well (${setting})`);
  const [module, , name] = parameter?.parameter.split('/') ?? [];
  const load = parameter ? `, or load ${module} with ${name}=0` : '';
  const why = outcome === 'silent' ? 'APICv hides its ICR writes' : `it does not run: ${exit}`;
  return healthCheck(
    'forwarding.apicv',
    'warn',
    `A VM that does not inhibit APICv is not forwarded: ${why} (${setting})`,
    `Inhibit it for the VM (machines of this package do, unless the script says \`apicv: true\`)${load}.`,
  );
}

/** Whether a VM can ask for the exits, where the profile has them only for those that do. */
export function checkOptIn(kvm: Kvm): HealthCheck[] {
  const { name: profile, optIn } = kvm.profile;
  if (!optIn) return [];
  const { name, bits, usual, capability } = optIn;
  const offered = kvm.checkExtension(capability);
  const lacking = usual.filter((bit) => (bits[bit]! & offered) === 0);
  if (lacking.length === 0)
    return [
      healthCheck(
        'opt-in',
        'ok',
        `${name} is offered: ${optInWords(optIn, offered)}; a VM of this package asks for ${usual.join(' and ')}`,
      ),
    ];
  return [
    healthCheck(
      'opt-in',
      'fail',
      offered === 0 ? `This kernel does not offer ${name}` : `This kernel's ${name} lacks ${lacking.join(' and ')}`,
      `Boot a kernel of profile ${profile}, or name the profile of this one by --profile.`,
    ),
  ];
}

/** Which of the series' numbers this kernel makes, and what makes it. */
export function checkEmission({ profile }: Kvm, forwards: boolean): HealthCheck {
  const states = reservedExits();
  const made = Object.entries(profile.exits).map(([name, { reason, emitted }]) => {
    if (emitted) return `${reason} ${forwards ? 'yes' : 'no'}`;
    if (states === null) return `${reason} not looked for`;
    const parameter = reservedExitParameters[name as keyof typeof states];
    return `${reason} ${states[name as keyof typeof states] ? 'yes' : 'no'} (kvm.${parameter})`;
  });
  const hasReserved = Object.values(profile.exits).some(({ emitted }) => !emitted);
  const whose =
    states === null
      ? ": it does not have the lab's extension for the reserved ones"
      : ": the reserved ones are the lab's extension";
  return healthCheck('exits', 'note', `This kernel makes the exits ${made.join(', ')}${hasReserved ? whose : ''}`);
}

/** Whether the injection side of the series is there. */
export function checkInjection(kvm: Kvm): HealthCheck {
  try {
    const known = injectionIoctls.filter((ioctl) => askInjection(kvm, ioctl).known);
    const missing = injectionIoctls.filter((ioctl) => !known.includes(ioctl));
    if (known.length === 0)
      return healthCheck('injection', 'note', 'KVM_DSM_IPI is not known: this kernel lacks patch 3/3 of the series');
    if (missing.length > 0)
      return healthCheck(
        'injection',
        'warn',
        `${known.join(' and ')} ${known.length > 1 ? 'are' : 'is'} known, ${missing.join(' and ')} not`,
        'Is patch 3/3 of the series there as a whole?',
      );
    return healthCheck(
      'injection',
      'ok',
      'KVM_DSM_IPI is known: writes of another machine can be replayed here (patch 3/3)',
    );
  } catch (error) {
    if (!(error instanceof KvmDsmError)) throw error;
    return healthCheck('injection', 'note', `Whether KVM_DSM_IPI is known was not found out: ${error.message}`);
  }
}
