/** What stands in kvm_run's lapic_irq after a guest's ICR or ICR2 write. */
import { subject } from '../../check.ts';
import { destinationChecks } from './destination.ts';
import { exitChecks } from './exit.ts';
import { icrChecks } from './icr.ts';
import { icr2Checks } from './icr2.ts';
import { instructionChecks } from './instructions.ts';

export const payload = subject('payload', 'the fields of lapic_irq', [
  ...exitChecks,
  ...icrChecks,
  ...icr2Checks,
  ...destinationChecks,
  ...instructionChecks,
]);
