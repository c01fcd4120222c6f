/** Each write comes out exactly once, and each IPI is taken exactly once. */
import { subject } from '../check.ts';
import { burstChecks } from './once/bursts.ts';
import { deliveryChecks } from './once/deliveries.ts';
import { instructionChecks } from './once/instructions.ts';
import { raceChecks } from './once/races.ts';
import { signalChecks } from './once/signals.ts';

export const once = subject('once', 'each write comes out once, and each IPI is taken once', [
  ...burstChecks,
  ...instructionChecks,
  ...signalChecks,
  ...raceChecks,
  ...deliveryChecks,
]);
