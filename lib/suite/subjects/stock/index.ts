/** What a guest's IPIs and its APIC's timer do on any kernel: forwarding takes nothing of it away. */
import { subject } from '../../check.ts';
import { fixedChecks } from './fixed.ts';
import { forwardingChecks } from './forwarding.ts';
import { nmiInitSipiChecks } from './nmi-init-sipi.ts';
import { priorityChecks } from './priority.ts';
import { registerChecks } from './registers.ts';
import { timerChecks } from './timer.ts';
import { x2apicChecks } from './x2apic.ts';

export const stock = subject('stock', 'what IPIs do on any kernel', [
  ...fixedChecks,
  ...nmiInitSipiChecks,
  ...priorityChecks,
  ...registerChecks,
  ...timerChecks,
  ...x2apicChecks,
  ...forwardingChecks,
]);
