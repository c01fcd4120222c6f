/** What a guest's IPIs, its APICs and their timers do on any kernel: forwarding takes nothing of it away. */
import { subject } from '../../check.ts';
import { disabledChecks } from './disabled.ts';
import { fixedChecks } from './fixed.ts';
import { forwardingChecks } from './forwarding.ts';
import { ioapicChecks } from './ioapic.ts';
import { lvtChecks } from './lvt.ts';
import { nmiInitSipiChecks } from './nmi-init-sipi.ts';
import { paravirtChecks } from './paravirt.ts';
import { priorityChecks } from './priority.ts';
import { registerChecks } from './registers.ts';
import { timerChecks } from './timer.ts';
import { x2apicChecks } from './x2apic.ts';

export const stock = subject('stock', 'what IPIs do on any kernel', [
  ...fixedChecks,
  ...nmiInitSipiChecks,
  ...priorityChecks,
  ...registerChecks,
  ...disabledChecks,
  ...lvtChecks,
  ...timerChecks,
  ...x2apicChecks,
  ...ioapicChecks,
  ...paravirtChecks,
  ...forwardingChecks,
]);
