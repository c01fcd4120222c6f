/** Each write comes out exactly once, and each IPI is taken exactly once. */
import { subject } from '../../check.ts';
import { burstChecks } from './bursts.ts';
import { deliveryChecks } from './deliveries.ts';
import { instructionChecks } from './instructions.ts';
import { nodeChecks } from './nodes.ts';
import { raceChecks } from './races.ts';
import { signalChecks } from './signals.ts';
import { stretchChecks } from './stretch.ts';

export const once = subject('once', 'each write comes out once, and each IPI is taken once', [
  ...burstChecks,
  ...instructionChecks,
  ...stretchChecks,
  ...signalChecks,
  ...raceChecks,
  ...deliveryChecks,
  ...nodeChecks,
]);
