/** Where the local APIC is, and in which state. */
import { subject } from '../../check.ts';
import { baseChecks } from './base.ts';
import { disabledChecks } from './disabled.ts';
import { irqchipChecks } from './irqchip.ts';
import { nestedChecks } from './nested.ts';
import { smmChecks } from './smm.ts';
import { x2apicChecks } from './x2apic.ts';

export const modes = subject('modes', 'where the local APIC is, and in which state', [
  ...irqchipChecks,
  ...baseChecks,
  ...disabledChecks,
  ...x2apicChecks,
  ...smmChecks,
  ...nestedChecks,
]);
