/** Why no ICR write came out of a script's guests: the kernel, or APICv. */
import { DeadlineError } from '../base/errors.ts';
import { apicvParameter } from '../host/apicv-parameter.ts';
import { Kvm } from '../kvm/kvm.ts';
import { forwardsIcrWrites } from '../probe/icr-write.ts';
import { ExpectationError, GuestFailureError } from '../script/errors.ts';
import type { ObservedMachine, Session } from '../script/session.ts';

/** Why ICR writes did not come out of the guest, and what to do. */
export interface Finding {
  id: 'not-forwarded' | 'apicv';
  message: string;
  advice: string;
  /** True if the kernel, not the guest or the script, is what has to change. */
  environment: boolean;
}

/**
 * Looks for what hid ICR writes from a script: one that failed for want of DSM exits, or one that passed though its
 * guests wrote the register and nothing came out.
 */
export function findingsOf(session: Session, machines: readonly ObservedMachine[], error: unknown): Finding[] {
  const silent = machines.filter((machine) => (machine.apicv || machine.wroteIcr) && !hasForwarded(machine));
  if (silent.some(({ apicv }) => apicv) && couldBeApicv(error) && apicvParameter()?.enabled && forwards(session))
    return [apicvFinding()];
  const unseen = silent.some(({ wroteIcr }) => wroteIcr) && (error === undefined || couldBeMissing(error));
  return unseen && !forwards(session) ? [notForwarded] : [];
}

/** Looks at one exit after the other: a trace may have millions. */
function hasForwarded({ trace }: ObservedMachine): boolean {
  for (const { exit } of trace) if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ') return true;
  return false;
}

function couldBeMissing(error: unknown): boolean {
  if (error instanceof ExpectationError) return error.seen === 0 && error.kinds.includes('KVM_EXIT_DSM_SEND_IRQ');
  return error instanceof DeadlineError && error.waitedForExits;
}

/** A CPU whose APICv is faulty may refuse the guest altogether. */
function couldBeApicv(error: unknown): boolean {
  return couldBeMissing(error) || error instanceof GuestFailureError;
}

function forwards({ device, profile }: Session): boolean {
  using kvm = Kvm.open(device, { profile });
  return forwardsIcrWrites(kvm);
}

const notForwarded: Finding = {
  id: 'not-forwarded',
  message: 'this kernel does not forward ICR writes',
  advice: 'Boot a kernel with CONFIG_KVM_DSM_IRQ_FORWARD, or run in the lab: --on vmx.',
  environment: true,
};

function apicvFinding(): Finding {
  const parameter = apicvParameter()!.parameter;
  const [module, , name] = parameter.split('/');
  return {
    id: 'apicv',
    message: `APICv hides ICR writes from the kernel's hook: ${module} has ${name}=Y and the script says apicv: true`,
    advice: `Leave out \`apicv: true\` (the machine then inhibits APICv for itself), or load the module with ${module}.${name}=0.`,
    environment: false,
  };
}
