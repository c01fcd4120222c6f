/** Why tests cannot run here, for the `skip` of a test runner. */
import { EnvironmentError } from '../base/errors.ts';
import { Kvm } from '../kvm/kvm.ts';
import { probeIcrWrite } from '../probe/icr-write.ts';
import { Session } from './session.ts';

const WHAT_TO_DO = '`kvm-dsm doctor` says why, and `kvm-dsm run <file> --on vmx` needs no KVM';

/** Why tests that need KVM cannot run here; false if they can. */
export function kvmMissing(device: string = Session.current.device): string | false {
  try {
    Kvm.open(device).close();
    return false;
  } catch (error) {
    if (error instanceof EnvironmentError) return `${error.message} (${WHAT_TO_DO})`;
    throw error;
  }
}

/** Why tests of the series cannot run here: there is no KVM, or its kernel does not forward ICR writes; false if they can. */
export function forwardingMissing(device: string = Session.current.device): string | false {
  const missing = kvmMissing(device);
  if (missing) return missing;
  using kvm = Kvm.open(device, { profile: Session.current.profile });
  const { outcome, exit } = probeIcrWrite(kvm);
  if (outcome === 'forwarded') return false;
  const why = outcome === 'silent' ? 'This kernel does not forward ICR writes' : `No guest runs here: ${exit}`;
  return `${why} (${WHAT_TO_DO})`;
}
